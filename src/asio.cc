// SPDX-License-Identifier: Apache-2.0
// All of Asio that is not a template.
#include <asio/impl/src.hpp>
