// Keys of `ddp:` and `dist:`: data parallelism.
#include "rialto/config/section_tables.h"

namespace rialto::config {

void add_ddp_rows(std::vector<KeyRow>& rows) {
  using D = DdpSection;
  add_rows<D>(
      rows, "ddp", &RunConfig::ddp,
      {field("bucket_size", &D::bucket_size,
             "gradient elements reduced in one operation; unset: 40,000,000 (1,000,000 for every process, if that is "
             "more) with overlap_grad_reduce, else all"),
       field("overlap_grad_reduce", &D::overlap_grad_reduce,
             "a bucket is reduced as soon as its gradients are complete, during the backward pass"),
       field("overlap_param_gather", &D::overlap_param_gather,
             "updated weights of the other processes are awaited where they are read next, not at once"),
       field("average_in_collective", &D::average_in_collective,
             "the reduction averages gradients that were scaled by the number of processes, instead of summing"),
       field("check_for_nan_in_grad", &D::check_for_nan_in_grad,
             "with several processes: end the run naming bucket and rank when a gradient is not finite before its "
             "reduction")});
  add_rows<DistSection>(rows, "dist", &RunConfig::dist,
                        {field_or_default("distributed_timeout_minutes", &DistSection::distributed_timeout_minutes,
                                          "how long a process waits for another one")});
}

void add_ddp_rules(std::vector<Rule>& rules) {
  const auto gather_has_shares = [](const RunConfig& config) -> std::optional<Finding> {
    if (!config.ddp.overlap_param_gather) return {};
    if (config.optimizer.use_distributed_optimizer && config.ddp.overlap_grad_reduce) return {};
    return Finding{
        "only updates in shares are gathered, and only behind overlapped reductions",
        {.got = "true", .want = "false, or optimizer.use_distributed_optimizer and ddp.overlap_grad_reduce"}};
  };
  using C = const RunConfig&;
  rules.push_back(integer_rule("R351", "ddp.bucket_size", [](C c) { return c.ddp.bucket_size; }, 1));
  rules.push_back({"R350", "ddp.overlap_param_gather",
                   "false, unless use_distributed_optimizer and overlap_grad_reduce", gather_has_shares});
  rules.push_back(integer_rule(
      "R352", "dist.distributed_timeout_minutes", [](C c) { return c.dist.distributed_timeout_minutes; }, 1, 10080));
}

}  // namespace rialto::config
