#pragma once
// The step definitions, a file for each feature file.

#include "serve/step_registry.hpp"

namespace zerobuffer::serve::steps {

void add_basic(StepRegistry& registry);
void add_duplex(StepRegistry& registry);

// All of them.
StepRegistry all();

}  // namespace zerobuffer::serve::steps
