// Keys of `model:` that spread it over ranks. Their rules are in parallel_rules.cpp.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {

void add_parallel_rows(std::vector<KeyRow>& rows) {
  using P = ParallelKeys;
  add_rows<P>(
      rows, "model", &RunConfig::parallel,
      {field("tensor_model_parallel_size", &P::tensor_model_parallel_size, "ranks that share each layer"),
       field("pipeline_model_parallel_size", &P::pipeline_model_parallel_size, "pipeline ranks"),
       field("virtual_pipeline_model_parallel_size", &P::virtual_pipeline_model_parallel_size,
             "chunks of layers of a pipeline rank; unset: 1"),
       field("microbatch_group_size_per_vp_stage", &P::microbatch_group_size_per_vp_stage,
             "micro-batches that a chunk runs in a row; unset: pipeline_model_parallel_size"),
       field("pipeline_model_parallel_layout", &P::pipeline_model_parallel_layout,
             "layers of each stage: E, t, m, L apart by |, as Et*3|(tt|)*29mL; unset: an even split"),
       field("num_layers_in_first_pipeline_stage", &P::num_layers_in_first_pipeline_stage,
             "layers of the first pipeline rank; unset: as the others"),
       field("num_layers_in_last_pipeline_stage", &P::num_layers_in_last_pipeline_stage,
             "layers of the last pipeline rank; unset: as the others"),
       field("account_for_embedding_in_pipeline_split", &P::account_for_embedding_in_pipeline_split,
             "the embedding counts as a layer of the first stage"),
       field("account_for_loss_in_pipeline_split", &P::account_for_loss_in_pipeline_split,
             "the head counts as a layer of the last stage"),
       field("delay_wgrad_compute", &P::split_weight_gradients,
             "a backward pass gives its input's gradient first; the weights' fill the pipeline's drain"),
       field("context_parallel_size", &P::context_parallel_size, "ranks that share each sequence"),
       {"cp_comm_type",
        "how attention gets at the other ranks' tokens: p2p, all_gather, a2a or a2a+p2p, or a list, of each decoder "
        "layer; "
        "unset: p2p",
        [](P& parallel, const Node& node) { read_value(node, parallel.cp_comm_type); },
        [](const P& parallel) {
          const auto& types = parallel.cp_comm_type;
          return types.size() == 1 ? write_value(types.front()) : types.empty() ? "null" : write_value(types);
        },
        "text, or list of text"},
       {"hierarchical_context_parallel_sizes", "of a2a+p2p: ranks that exchange heads, ranks of a ring",
        [](P& parallel, const Node& node) { read_value(node, parallel.hierarchical_context_parallel_sizes); },
        [](const P& parallel) {
          const auto& sizes = parallel.hierarchical_context_parallel_sizes;
          return sizes.empty() ? "null" : write_value(sizes);
        },
        "list of integers"},
       field("expert_model_parallel_size", &P::expert_model_parallel_size, "ranks that share the experts of a layer"),
       field("expert_tensor_parallel_size", &P::expert_tensor_parallel_size,
             "ranks that share each expert; unset: tensor_model_parallel_size"),
       field("moe_token_dispatcher_type", &P::moe_token_dispatcher_type,
             "how tokens reach experts of other ranks: allgather (each rank sees all tokens), alltoall (rows travel)"),
       field("sequence_parallel", &P::sequence_parallel, "tensor-parallel ranks split norms and dropout by sequence")});
}

std::string layout_text(const ParallelKeys& parallel) {
  std::string text;
  for (const auto& [name, size] : {std::pair{"TP", parallel.tensor_model_parallel_size},
                                   {"PP", parallel.pipeline_model_parallel_size},
                                   {"VPP", parallel.virtual_pipeline_model_parallel_size.value_or(1)},
                                   {"CP", parallel.context_parallel_size},
                                   {"EP", parallel.expert_model_parallel_size}})
    if (size > 1) text += fmt::format("{}{}{}", text.empty() ? "" : " ", name, size);
  return text;
}

}  // namespace rialto::config
