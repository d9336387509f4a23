// Which family a config.json asks for, and what is said where none is known.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/json.h"
#include "rialto/families/family.h"

namespace rialto::resolve {

/// architectures[0], a class name of transformers or of the repository's own code. Throws kInput where there is none.
std::string architecture_of(const Json& config, const std::string& where);

/// The family that has this architecture. Throws kInput naming the known ones and the nearest; of a repository that
/// brings Python code of its own (`auto_map`) it says that the code is not run.
const families::Family& family_of(const Json& config, const std::string& where);

/// What `auto_map` would have Python load as the model: "modeling_foo.FooForCausalLM"; "" without such a key.
std::string remote_code_of(const Json& config);

}  // namespace rialto::resolve
