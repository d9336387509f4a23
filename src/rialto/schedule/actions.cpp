// Text of an action, for printed schedules and messages.
#include "rialto/schedule/actions.h"

#include <fmt/format.h>

namespace rialto::schedule {
namespace {

std::string_view name_of(Act act) {
  switch (act) {
    case Act::kPostRecvForward:
      return "post recv forward";
    case Act::kForward:
      return "forward";
    case Act::kPostSendForward:
      return "post send forward";
    case Act::kPostRecvBackward:
      return "post recv backward";
    case Act::kBackward:
      return "backward";
    case Act::kBackwardWeight:
      return "backward of weights";
    case Act::kPostSendBackward:
      return "post send backward";
    case Act::kWait:
      return "wait";
    case Act::kReduceGrads:
      return "reduce gradients";
    case Act::kStep:
      return "step";
  }
  return "?";
}

}  // namespace

std::string to_text(const Action& action) {
  std::string text(name_of(action.act));
  if (action.act == Act::kReduceGrads || action.act == Act::kStep) return text;
  if (action.act == Act::kWait) return fmt::format("{} slot {}", text, action.slot);
  text += fmt::format(" {}", action.microbatch);
  if (action.chunk > 0) text += fmt::format(" chunk {}", action.chunk);
  if (action.peer >= 0) text += fmt::format(" peer {} slot {}", action.peer, action.slot);
  return text;
}

}  // namespace rialto::schedule
