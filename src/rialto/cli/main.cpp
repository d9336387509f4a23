// The `rialto` program.
#include "rialto/cli/command.h"

int main(int argc, char** argv) { return rialto::cli::run(argc, argv); }
