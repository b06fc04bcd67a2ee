# SPDX-License-Identifier: Apache-2.0
# Golden pairs by family, each computed with NumPy, SciPy or PyTorch in float64; ../golden.py writes them out.
