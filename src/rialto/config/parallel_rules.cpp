// What parallel sizes must satisfy. What this version does not run beside them is in parallel_limits.cpp.
// Source: Megatron-Core 0.16.1 parallel_state.py, transformer_config.py, pipeline_parallel_layer_layout.py.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/config/batch_sizes.h"
#include "rialto/config/context_ways.h"
#include "rialto/config/pipeline_layout.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;
using C = const RunConfig&;
using M = const spec::ModelSpec&;

constexpr int64_t kMostRanks = int64_t{1} << 20;

int64_t expert_tensor(C c) { return c.parallel.expert_ranks(); }
int64_t chunks(C c) { return c.parallel.virtual_pipeline_model_parallel_size.value_or(1); }

/// Sizes that are out of range have a rule of their own; no other rule divides by them.
bool sizes_make_sense(C c) {
  const ParallelKeys& p = c.parallel;
  for (const int64_t size : {p.tensor_model_parallel_size, p.pipeline_model_parallel_size, p.context_parallel_size,
                             p.expert_model_parallel_size, expert_tensor(c), chunks(c)})
    if (size < 1 || size > kMostRanks) return false;
  return true;
}

Found not_a_multiple(std::string_view what, int64_t of, int64_t size, std::string_view name) {
  return Finding{std::string(what),
                 {.got = fmt::format("{} with {} {}", of, name, size), .want = fmt::format("a multiple of {}", size)}};
}

Found ranks_divide(C c) {
  if (!sizes_make_sense(c) || c.world_size % c.parallel.model_ranks() == 0) return {};
  return not_a_multiple("the processes are not whole copies of the model", c.world_size, c.parallel.model_ranks(),
                        "tensor x pipeline x context parallel size");
}

Found expert_ranks_divide(C c) {
  if (!sizes_make_sense(c)) return {};
  const int64_t ranks =
      expert_tensor(c) * c.parallel.expert_model_parallel_size * c.parallel.pipeline_model_parallel_size;
  if (c.world_size % ranks == 0) return {};
  return not_a_multiple("the processes are not whole copies of the experts", c.world_size, ranks,
                        "expert tensor x expert x pipeline parallel size");
}

Found sequence_divides(C c) {
  const auto length = sample_length(c);
  const int64_t context = c.parallel.context_parallel_size;
  if (!sizes_make_sense(c) || c.dataset.pack_sequences_in_batch || context == 1 || !length ||
      *length % (2 * context) == 0)
    return {};
  return not_a_multiple("a sequence is cut into twice as many parts as there are context-parallel ranks", *length,
                        2 * context, "2 x context_parallel_size =");
}

Found sequence_divides_over_tensor(C c) {
  const auto length = sample_length(c);
  const int64_t parts = c.parallel.tensor_model_parallel_size * c.parallel.context_parallel_size;
  if (!sizes_make_sense(c) || c.dataset.pack_sequences_in_batch || !c.parallel.sequence_parallel || !length ||
      *length % parts == 0)
    return {};
  return not_a_multiple("a sequence is cut over tensor-parallel ranks", *length, parts,
                        "tensor x context parallel size");
}

Found sequence_needs_tensor(C c) {
  if (!c.parallel.sequence_parallel || c.parallel.tensor_model_parallel_size > 1) return {};
  return Finding{"there are no tensor-parallel ranks to split the sequence over",
                 {.got = "true with tensor_model_parallel_size 1", .want = "false"}};
}

Found chunks_need_stages(C c) {
  if (chunks(c) == 1 || c.parallel.pipeline_model_parallel_size > 1) return {};
  return Finding{"chunks without a pipeline",
                 {.got = fmt::format("{} with pipeline_model_parallel_size 1", chunks(c)), .want = "unset"}};
}

Found group_fits(C c) {
  const int64_t step = c.train.micro_batch_size * c.data_parallel_size();
  if (!sizes_make_sense(c) || chunks(c) == 1 || step < 1) return {};
  const int64_t batches = c.train.global_batch_size / step, stages = c.parallel.pipeline_model_parallel_size;
  const int64_t group = c.parallel.microbatch_group_size_per_vp_stage.value_or(stages);
  if (group >= stages && group <= batches && (batches % group == 0 || batches % group >= stages)) return {};
  return Finding{"the micro-batches of an iteration do not fill an interleaved pipeline",
                 {.got = fmt::format("groups of {} with {} micro-batches on {} pipeline ranks", group, batches, stages),
                  .want = "pipeline size <= group <= micro-batches, and a rest of 0 or at least the pipeline size"}};
}

bool has_uneven_ends(const ParallelKeys& p) {
  return p.num_layers_in_first_pipeline_stage || p.num_layers_in_last_pipeline_stage;
}
bool counts_ends(const ParallelKeys& p) {
  return p.account_for_embedding_in_pipeline_split || p.account_for_loss_in_pipeline_split;
}

Found one_way_to_split(C c) {
  const ParallelKeys& p = c.parallel;
  const int ways = !p.pipeline_model_parallel_layout.empty() + has_uneven_ends(p) + counts_ends(p);
  if (ways <= 1) return {};
  return Finding{"layers are split in two ways at once",
                 {.want = "one of pipeline_model_parallel_layout, num_layers_in_*_pipeline_stage, account_for_*"}};
}

Found layout_is_read(C c) {
  const ParallelKeys& p = c.parallel;
  if (p.pipeline_model_parallel_layout.empty() || !sizes_make_sense(c)) return {};
  std::vector<LayoutStage> stages;
  try {
    stages = parse_pipeline_layout(p.pipeline_model_parallel_layout);
  } catch (const Error& error) {
    const std::string_view line = error.what();
    return Finding{std::string(line.substr(line.find("] ") + 2)), {}};
  }
  if (const std::string_view wrong = misplaced_layer(stages); !wrong.empty())
    return Finding{"layers are not where a model has them",
                   {.got = p.pipeline_model_parallel_layout, .want = std::string(wrong)}};
  const auto count = static_cast<int64_t>(stages.size());
  const bool fits = count % p.pipeline_model_parallel_size == 0 &&
                    (!p.virtual_pipeline_model_parallel_size || count == p.pipeline_model_parallel_size * chunks(c)) &&
                    (p.pipeline_model_parallel_size > 1 || count == 1);
  if (fits) return {};
  return Finding{
      "the number of stages does not fit",
      {.got = fmt::format("{} with {} pipeline ranks of {} chunks", count, p.pipeline_model_parallel_size, chunks(c)),
       .want = "pipeline size x chunks"}};
}

/// Layers that remain for the pipeline ranks whose number is not given must divide over them and their chunks.
Found layers_divide(C c, M m) {
  const ParallelKeys& p = c.parallel;
  if (!sizes_make_sense(c) || !p.pipeline_model_parallel_layout.empty()) return {};
  auto layers = static_cast<int64_t>(m.layers.size());
  int64_t ranks = p.pipeline_model_parallel_size;
  const auto got = [&] {
    return fmt::format("{} layers on {} pipeline ranks of {} chunks", m.layers.size(), p.pipeline_model_parallel_size,
                       chunks(c));
  };
  for (const auto& end : {p.num_layers_in_first_pipeline_stage, p.num_layers_in_last_pipeline_stage}) {
    if (!end) continue;
    if (*end < 1 || *end % chunks(c) != 0)
      return Finding{"the layers of an end do not divide over its chunks",
                     {.got = fmt::format("{} layers with {} chunks", *end, chunks(c)), .want = "a multiple, from 1"}};
    layers -= *end;
    --ranks;
  }
  layers += p.account_for_embedding_in_pipeline_split + p.account_for_loss_in_pipeline_split;
  const bool whole = ranks > 0 ? layers > 0 && layers % (ranks * chunks(c)) == 0 : ranks == 0 && layers == 0;
  if (whole) return {};
  return Finding{
      "the layers do not divide over the pipeline",
      {.got = got(), .want = "equal stages", .hint = "model.pipeline_model_parallel_layout says them one by one"}};
}

Found layout_has_the_layers(C c, M m) {
  if (c.parallel.pipeline_model_parallel_layout.empty() || layout_is_read(c)) return {};
  int64_t decoders = 0, mtp = 0;
  for (const LayoutStage& stage : parse_pipeline_layout(c.parallel.pipeline_model_parallel_layout)) {
    decoders += stage.decoders;
    mtp += stage.mtp;
  }
  if (decoders == static_cast<int64_t>(m.layers.size()) && mtp == static_cast<int64_t>(m.mtp.size())) return {};
  return Finding{"the layout has other layers than the model",
                 {.got = fmt::format("{} t and {} m", decoders, mtp),
                  .want = fmt::format("{} t and {} m", m.layers.size(), m.mtp.size())}};
}

int64_t heads_of(const spec::Mixer& mixer) {
  return std::visit([](const auto& one) { return one.num_heads; }, mixer);
}

Found heads_divide(C c, M m) {
  const int64_t size = c.parallel.tensor_model_parallel_size;
  if (!sizes_make_sense(c)) return {};
  for (const spec::Layer& layer : m.layers) {
    if (heads_of(layer.mixer) % size != 0)
      return not_a_multiple("heads do not divide over tensor-parallel ranks", heads_of(layer.mixer), size,
                            "tensor_model_parallel_size");
  }
  return {};
}

Found groups_divide(C c, M m) {
  const int64_t size = c.parallel.tensor_model_parallel_size;
  if (!sizes_make_sense(c)) return {};
  for (const spec::Layer& layer : m.layers) {
    const auto* attention = std::get_if<spec::Attention>(&layer.mixer);
    if (!attention || attention->num_groups % size == 0 || size % attention->num_groups == 0) continue;
    return Finding{"key/value heads do not divide over tensor-parallel ranks",
                   {.got = fmt::format("{} with tensor_model_parallel_size {}", attention->num_groups, size),
                    .want = "a multiple or a divisor of it"}};
  }
  return {};
}

Found widths_divide(C c, M m) {
  const int64_t size = c.parallel.tensor_model_parallel_size;
  if (!sizes_make_sense(c)) return {};
  for (const spec::Layer& layer : m.layers) {
    const auto* dense = std::get_if<spec::DenseFfn>(&layer.ffn);
    const int64_t width = dense ? dense->hidden : std::get<spec::MoeFfn>(layer.ffn).shared_hidden;
    if (width % size != 0)
      return not_a_multiple("a feed-forward width does not divide over tensor-parallel ranks", width, size,
                            "tensor_model_parallel_size");
  }
  return {};
}

const spec::MoeFfn* first_experts(M m) {
  for (const spec::Layer& layer : m.layers)
    if (const auto* moe = std::get_if<spec::MoeFfn>(&layer.ffn)) return moe;
  return nullptr;
}

Found experts_divide(C c, M m) {
  const int64_t size = c.parallel.expert_model_parallel_size;
  if (!sizes_make_sense(c) || size == 1) return {};
  const spec::MoeFfn* moe = first_experts(m);
  if (!moe) return Finding{"the model has no experts to share", {.got = fmt::to_string(size), .want = "1"}};
  if (moe->num_experts % size == 0) return {};
  return not_a_multiple("experts do not divide over expert-parallel ranks", moe->num_experts, size,
                        "expert_model_parallel_size");
}

Found expert_widths_divide(C c, M m) {
  const spec::MoeFfn* moe = first_experts(m);
  if (!moe) {
    if (!c.parallel.expert_tensor_parallel_size || *c.parallel.expert_tensor_parallel_size == 1) return {};
    return Finding{"the model has no experts to share",
                   {.got = fmt::to_string(*c.parallel.expert_tensor_parallel_size), .want = "unset or 1"}};
  }
  if (!sizes_make_sense(c) || moe->expert_hidden % expert_tensor(c) == 0) return {};
  return not_a_multiple("an expert's width does not divide over its ranks", moe->expert_hidden, expert_tensor(c),
                        "expert_tensor_parallel_size");
}

Found selection_bias_is_whole(C c, M m) {
  const spec::MoeFfn* moe = first_experts(m);
  if (!moe || !moe->router.selection_bias || expert_tensor(c) == 1) return {};
  return Finding{"a router's selection bias with experts that are split",
                 {.got = fmt::format("expert tensor parallel size {}", expert_tensor(c)),
                  .want = "model.expert_tensor_parallel_size=1"}};
}

Found experts_need_sequence_parallel(C c, M m) {
  if (!first_experts(m) || c.parallel.tensor_model_parallel_size == 1 || c.parallel.sequence_parallel) return {};
  return Finding{"experts under tensor parallelism see each token on every rank",
                 {.got = fmt::format("false with tensor_model_parallel_size {}", c.parallel.tensor_model_parallel_size),
                  .want = "model.sequence_parallel=true"}};
}

/// Blocks of multi-token prediction take what the head takes.
Found predictions_beside_the_loss(C c) {
  if (c.parallel.pipeline_model_parallel_layout.empty() || layout_is_read(c)) return {};
  for (const LayoutStage& stage : parse_pipeline_layout(c.parallel.pipeline_model_parallel_layout))
    if (stage.mtp > 0 && stage.loss == 0)
      return Finding{"this version computes prediction blocks on the stage of the loss",
                     {.got = c.parallel.pipeline_model_parallel_layout, .want = "m and L in one stage"}};
  return {};
}

Found comm_types_are_known(C c) {
  for (const std::string& type : c.parallel.cp_comm_type)
    if (!context_way(type))
      return Finding{"no such way of context parallelism", {.got = type, .want = "p2p, all_gather, a2a or a2a+p2p"}};
  return {};
}

Found comm_types_of_layers(C c, M m) {
  const auto count = c.parallel.cp_comm_type.size();
  if (count <= 1 || count == m.layers.size()) return {};
  return Finding{"a list has the type of every decoder layer",
                 {.got = fmt::format("{} for {} layers", count, m.layers.size()), .want = "one each, or one for all"}};
}

Found levels_make_the_ranks(C c) {
  const auto& sizes = c.parallel.hierarchical_context_parallel_sizes;
  const int64_t ranks = c.parallel.context_parallel_size;
  const bool asked = std::ranges::find(c.parallel.cp_comm_type, "a2a+p2p") != c.parallel.cp_comm_type.end();
  if (!sizes_make_sense(c) || (sizes.empty() && (!asked || ranks == 1))) return {};
  const std::string got = sizes.empty() ? "unset" : fmt::format("[{}]", fmt::join(sizes, ", "));
  if (!asked) return Finding{"levels of ranks that no layer has", {.got = got, .want = "unset, or a2a+p2p"}};
  if (sizes.size() == 2 && sizes[0] >= 1 && sizes[1] >= 1 && sizes[0] <= ranks && sizes[0] * sizes[1] == ranks)
    return {};
  return Finding{"a2a+p2p has two levels of ranks",
                 {.got = fmt::format("{} with {} ranks", got, ranks),
                  .want = fmt::format("ranks that exchange heads, ranks of a ring: with the product {}", ranks)}};
}

/// Ranks that exchange heads for tokens have the same number of each afterwards.
Found heads_are_exchanged(C c, M m) {
  if (!sizes_make_sense(c) || c.parallel.context_parallel_size == 1 || comm_types_are_known(c) ||
      comm_types_of_layers(c, m) || levels_make_the_ranks(c))
    return {};
  const spec::Layout layout{.context_ways = context_ways(c.parallel)};
  const auto check = [&](const spec::Layer& layer, std::optional<int64_t> number) -> Found {
    const int64_t ranks = heads_ranks(c.parallel, layout.context_way(number));
    const int64_t parts = c.parallel.tensor_model_parallel_size * ranks;
    const auto* attention = std::get_if<spec::Attention>(&layer.mixer);
    const int64_t heads = heads_of(layer.mixer), groups = attention ? attention->num_groups : heads;
    if (ranks == 1 || (heads % parts == 0 && groups % parts == 0)) return {};
    return Finding{"heads do not divide over the ranks that exchange them",
                   {.got = fmt::format("{} query and {} key/value heads on {} ranks (tensor {} x context {})", heads,
                                       groups, parts, c.parallel.tensor_model_parallel_size, ranks),
                    .want = fmt::format("multiples of {}", parts),
                    .hint = "p2p and all_gather leave heads whole"}};
  };
  for (size_t l = 0; l < m.layers.size(); ++l)
    if (const Found found = check(m.layers[l], static_cast<int64_t>(l))) return found;
  for (const spec::MtpBlock& block : m.mtp)
    if (const Found found = check(block.layer, {})) return found;
  return {};
}

Found expert_biases_are_whole(C c, M m) {
  const spec::MoeFfn* moe = first_experts(m);
  if (!moe || !moe->expert_bias || expert_tensor(c) == 1) return {};
  return Finding{"this version does not split experts with biases",
                 {.got = fmt::format("expert tensor parallel size {}", expert_tensor(c)),
                  .want = "model.expert_tensor_parallel_size=1"}};
}

Found dispatcher_is_known(C c) {
  const std::string& type = c.parallel.moe_token_dispatcher_type;
  if (type == "allgather" || type == "alltoall") return {};
  return Finding{type == "flex" ? "its libraries (DeepEP, HybridEP) are for GPUs with NVLink" : "no such dispatcher",
                 {.got = type, .want = "allgather or alltoall"}};
}

}  // namespace

void add_parallel_rules(std::vector<Rule>& rules) {
  using P = ParallelKeys;
  const auto size_rule = [&](std::string_view id, std::string_view key, auto member) {
    rules.push_back(
        integer_rule(id, key, [member](C c) { return std::optional<int64_t>(c.parallel.*member); }, 1, kMostRanks));
  };
  size_rule("R450", "model.tensor_model_parallel_size", &P::tensor_model_parallel_size);
  size_rule("R451", "model.pipeline_model_parallel_size", &P::pipeline_model_parallel_size);
  size_rule("R452", "model.context_parallel_size", &P::context_parallel_size);
  size_rule("R453", "model.expert_model_parallel_size", &P::expert_model_parallel_size);
  size_rule("R454", "model.expert_tensor_parallel_size", &P::expert_tensor_parallel_size);
  size_rule("R455", "model.virtual_pipeline_model_parallel_size", &P::virtual_pipeline_model_parallel_size);
  size_rule("R456", "model.microbatch_group_size_per_vp_stage", &P::microbatch_group_size_per_vp_stage);
  size_rule("R457", "model.num_layers_in_first_pipeline_stage", &P::num_layers_in_first_pipeline_stage);
  size_rule("R458", "model.num_layers_in_last_pipeline_stage", &P::num_layers_in_last_pipeline_stage);
  rules.push_back({"R460", "model.tensor_model_parallel_size",
                   "such that tensor x pipeline x context size divides the processes", ranks_divide});
  rules.push_back({"R461", "model.expert_model_parallel_size",
                   "such that expert tensor x expert x pipeline size divides the processes", expert_ranks_divide});
  rules.push_back({"R462", "model.context_parallel_size", "such that twice it divides the sequence", sequence_divides});
  rules.push_back({"R463", "model.sequence_parallel", "false without tensor parallelism", sequence_needs_tensor});
  rules.push_back({"R464", "model.sequence_parallel", "false unless tensor x context size divides the sequence",
                   sequence_divides_over_tensor});
  rules.push_back(
      {"R465", "model.virtual_pipeline_model_parallel_size", "unset or 1 without a pipeline", chunks_need_stages});
  rules.push_back({"R466", "model.microbatch_group_size_per_vp_stage",
                   "pipeline size to micro-batches, with a rest of 0 or at least the pipeline size", group_fits});
  rules.push_back({"R467", "model.pipeline_model_parallel_layout",
                   "unset when num_layers_in_* or account_for_* say the split", one_way_to_split});
  rules.push_back({"R468", "model.pipeline_model_parallel_layout",
                   "E, t, m, L over pipeline size x chunks stages, apart by |", layout_is_read});
  rules.push_back({"R495", "model.cp_comm_type", "p2p, all_gather, a2a or a2a+p2p", comm_types_are_known});
  rules.push_back({"R496", "model.hierarchical_context_parallel_sizes",
                   "two sizes with the product context_parallel_size, for a2a+p2p", levels_make_the_ranks});
  rules.push_back(
      {"R493", "model.pipeline_model_parallel_layout", "with m and L in one stage", predictions_beside_the_loss, true});
  rules.push_back({"R491", "model.moe_token_dispatcher_type", "allgather or alltoall", dispatcher_is_known});
}

std::vector<ModelRule> parallel_model_rules() {
  return {
      {"R470", "model.tensor_model_parallel_size", "a divisor of the heads", heads_divide},
      {"R471", "model.tensor_model_parallel_size", "a divisor or a multiple of the key/value heads", groups_divide},
      {"R472", "model.tensor_model_parallel_size", "a divisor of the feed-forward widths", widths_divide},
      {"R473", "model.expert_model_parallel_size", "a divisor of the experts", experts_divide},
      {"R474", "model.expert_tensor_parallel_size", "a divisor of an expert's width", expert_widths_divide},
      {"R475", "model.expert_tensor_parallel_size", "1 for routers with a selection bias", selection_bias_is_whole},
      {"R476", "model.sequence_parallel", "true for experts under tensor parallelism", experts_need_sequence_parallel},
      {"R477", "model.pipeline_model_parallel_size", "such that the layers divide over its stages", layers_divide},
      {"R478", "model.pipeline_model_parallel_layout", "with as many t and m as the model has", layout_has_the_layers},
      {"R497", "model.cp_comm_type", "one, or as many as decoder layers", comm_types_of_layers},
      {"R492", "model.cp_comm_type", "a2a and a2a+p2p with heads that divide over the ranks that exchange them",
       heads_are_exchanged},
      {"R494", "model.expert_tensor_parallel_size", "1 for experts with biases", expert_biases_are_whole, true},
  };
}

}  // namespace rialto::config
