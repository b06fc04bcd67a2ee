// SPDX-License-Identifier: Apache-2.0
// Norms that an exporter wrote out as mean, difference, square and root become one operation again.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// To layer_norm, instance_norm and rms_norm; true if there were any. The sums are then kept in fp32, where
// squares in fp16 would overflow.
bool fuse_norms(Graph&);

// rms_norm, which Core ML does not have, as the layer_norm of x beside -x: their mean is 0.
bool rms_norms_as_layer_norms(Graph&);

// Epsilons of what computes in fp16 that fp16 would round to 0 become its smallest number.
void hold_epsilons(Graph&);

}  // namespace tl::pass
