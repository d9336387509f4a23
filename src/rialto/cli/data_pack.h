// `rialto data pack`. Inside cli only.
#pragma once

#include "rialto/cli/command.h"

namespace rialto::cli {

void add_data_pack(CLI::App& data, Context& context);

}  // namespace rialto::cli
