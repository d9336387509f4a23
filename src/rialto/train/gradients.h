// Loss and every gradient in Hugging Face names, for other programs to compare.
#pragma once

#include <vector>

#include "rialto/data/token_rows.h"
#include "rialto/generate/loaded_model.h"

namespace rialto::train {

/// Mean next-token cross entropy over all rows (each place but a row's last), and its gradient by every parameter, as
/// safetensors, fp32: tensor `loss` [] and `grad.<HF name>` with the HF tensor's shape; buffers have none. The loss is
/// the next token's alone, without router losses. `mtp_loss_scaling_factor` (Objective's): other than 0, the gradient
/// is that of the loss with multi-token prediction, and tensor `mtp_losses` [D] holds the mean loss of each depth.
/// `model` was opened for training; its gradients are overwritten. Rows have one length >= 2; throws kUsage otherwise,
/// and for a factor without blocks of multi-token prediction.
void write_gradients(const generate::LoadedModel& model, const data::TokenRows& rows, FileOps& ops, const fs::path& out,
                     double mtp_loss_scaling_factor = 0);

}  // namespace rialto::train
