// Counts the parameters of a Hugging Face model folder with Rialto as a library.
#include <cstdio>

#include "rialto/hub/hf_directory.h"
#include "rialto/resolve/resolve.h"

int main(int argc, char** argv) {
  const rialto::hub::HfDirectory folder(argc > 1 ? argv[1] : ".");
  const auto model = rialto::resolve::model_from_hf(folder.config(), "config.json").model;
  std::printf("%s: %lld parameters\n", model.family.c_str(),
              static_cast<long long>(rialto::spec::num_parameters(model)));
}
