// Parts of `rialto data` that have files of their own. Inside cli only.
#pragma once

#include "rialto/cli/command.h"

namespace rialto::cli {

void add_data_pack(CLI::App& data, Context& context);
void add_data_mock(CLI::App& data, Context& context);
void add_data_view(CLI::App& data, Context& context);
void add_data_check(CLI::App& data, Context& context);

}  // namespace rialto::cli
