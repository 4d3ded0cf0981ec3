// All of Asio that is not a template.
#include <asio/impl/src.hpp>
