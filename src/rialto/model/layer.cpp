// Chooses the code of each layer kind.
#include "rialto/model/layer.h"

#include "rialto/base/error.h"

namespace rialto::model {
namespace {

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

[[noreturn]] void no_code(const Parts& parts, const char* kind) {
  throw Error(ErrorKind::kConfig, parts.prefix, std::string("no model code for ") + kind,
              {.got = {}, .want = {}, .hint = "such a model can be converted and inspected, not run"});
}

}  // namespace

std::unique_ptr<Mixer> make_mixer(const spec::Mixer& spec, const Parts& parts) {
  return std::visit(Overload{[&](const spec::Attention& attention) { return make_attention(attention, parts); },
                             [&](const spec::LatentAttention&) -> std::unique_ptr<Mixer> {
                               no_code(parts, "multi-head latent attention");
                             }},
                    spec);
}

std::unique_ptr<Ffn> make_ffn(const spec::Ffn& spec, const Parts& parts) {
  return std::visit(
      Overload{[&](const spec::DenseFfn& ffn) { return make_dense_ffn(ffn, parts); },
               [&](const spec::MoeFfn&) -> std::unique_ptr<Ffn> { no_code(parts, "mixture of experts"); }},
      spec);
}

}  // namespace rialto::model
