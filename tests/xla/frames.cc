// SPDX-License-Identifier: Apache-2.0
// Calls handlers of XLA's foreign function interface as XLA does on a device, with a stream: jaxlib for CPUs has no
// stream to give. For tests in Python, which call it by ctypes.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "xla/ffi/api/c_api.h"

/// What XLA keeps of an error.
struct XLA_FFI_Error {
  std::string text;
  XLA_FFI_Error_Code code;
};

/// Where XLA executes a call.
struct XLA_FFI_ExecutionContext {
  std::int32_t device;
  void* stream;
};

namespace {

/// As Python gives it: a vector.
struct Array {
  std::int32_t type;  ///< XLA_FFI_DataType
  std::int64_t count;
  void* data;
};

/// Of a type of XLA: an int64, a float64, or a vector of int32.
struct Attribute {
  const char* name;
  std::int32_t type;  ///< XLA_FFI_DataType
  std::int64_t count;
  void* values;
};

XLA_FFI_Error* createError(XLA_FFI_Error_Create_Args* args) { return new XLA_FFI_Error{args->message, args->errc}; }

void getMessage(XLA_FFI_Error_GetMessage_Args* args) { args->message = args->error->text.c_str(); }

void destroyError(XLA_FFI_Error_Destroy_Args* args) { delete args->error; }

XLA_FFI_Error* getStream(XLA_FFI_Stream_Get_Args* args) {
  args->stream = args->ctx->stream;
  return nullptr;
}

XLA_FFI_Error* getDevice(XLA_FFI_DeviceOrdinal_Get_Args* args) {
  args->device_ordinal = args->ctx->device;
  return nullptr;
}

XLA_FFI_Api apiOfXla() {
  XLA_FFI_Api api{};
  api.struct_size = XLA_FFI_Api_STRUCT_SIZE;
  api.api_version = {XLA_FFI_Api_Version_STRUCT_SIZE, nullptr, XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR};
  api.XLA_FFI_Error_Create = createError;
  api.XLA_FFI_Error_GetMessage = getMessage;
  api.XLA_FFI_Error_Destroy = destroyError;
  api.XLA_FFI_Stream_Get = getStream;
  api.XLA_FFI_DeviceOrdinal_Get = getDevice;
  return api;
}

/// The arrays of a call in XLA's structs, which point to each other.
struct Buffers {
  Buffers(const Array* arrays, std::int64_t n) : counts(static_cast<std::size_t>(n)) {
    buffers.reserve(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] = arrays[i].count;
      buffers.push_back({XLA_FFI_Buffer_STRUCT_SIZE, nullptr, static_cast<XLA_FFI_DataType>(arrays[i].type),
                         arrays[i].data, 1, &counts[i]});
      pointers.push_back(&buffers.back());
    }
  }
  std::vector<std::int64_t> counts;
  std::vector<XLA_FFI_Buffer> buffers;
  std::vector<void*> pointers;
};

/// The attributes of a call in the order of their names. Those of type int32 are vectors.
struct Attributes {
  Attributes(const Attribute* given, std::int64_t n) {
    const auto count = static_cast<std::size_t>(n);
    names.reserve(count);
    scalars.reserve(count);
    arrays.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const Attribute& one = given[i];
      const auto type = static_cast<XLA_FFI_DataType>(one.type);
      names.push_back({one.name, std::char_traits<char>::length(one.name)});
      name_pointers.push_back(&names.back());
      if (type == XLA_FFI_DataType_S32) {
        arrays.push_back({type, static_cast<std::size_t>(one.count), one.values});
        pointers.push_back(&arrays.back());
        types.push_back(XLA_FFI_AttrType_ARRAY);
      } else {
        scalars.push_back({type, one.values});
        pointers.push_back(&scalars.back());
        types.push_back(XLA_FFI_AttrType_SCALAR);
      }
    }
  }
  std::vector<XLA_FFI_ByteSpan> names;
  std::vector<XLA_FFI_Scalar> scalars;
  std::vector<XLA_FFI_Array> arrays;
  std::vector<XLA_FFI_ByteSpan*> name_pointers;
  std::vector<void*> pointers;
  std::vector<XLA_FFI_AttrType> types;
};

}  // namespace

extern "C" {

/// Calls a handler in its stage "execute". Returns the code of its error, whose text it writes, or 0.
__attribute__((visibility("default"))) int xlaCall(XLA_FFI_Handler* handler, std::int32_t device, void* stream,
                                                   const Array* arguments, std::int64_t nargs, const Array* results,
                                                   std::int64_t nrets, const Attribute* attributes, std::int64_t nattrs,
                                                   char* text, std::size_t text_bytes) {
  const XLA_FFI_Api api = apiOfXla();
  XLA_FFI_ExecutionContext context{device, stream};
  Buffers args(arguments, nargs);
  Buffers rets(results, nrets);
  Attributes attrs(attributes, nattrs);
  std::vector<XLA_FFI_ArgType> arg_types(args.counts.size(), XLA_FFI_ArgType_BUFFER);
  std::vector<XLA_FFI_RetType> ret_types(rets.counts.size(), XLA_FFI_RetType_BUFFER);
  XLA_FFI_CallFrame frame{};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = &api;
  frame.ctx = &context;
  frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  frame.args = {XLA_FFI_Args_STRUCT_SIZE, nullptr, nargs, arg_types.data(), args.pointers.data()};
  frame.rets = {XLA_FFI_Rets_STRUCT_SIZE, nullptr, nrets, ret_types.data(), rets.pointers.data()};
  frame.attrs = {XLA_FFI_Attrs_STRUCT_SIZE, nullptr, nattrs, attrs.types.data(), attrs.name_pointers.data(),
                 attrs.pointers.data()};
  XLA_FFI_Error* const error = handler(&frame);
  if (error == nullptr) return 0;
  const int code = static_cast<int>(error->code);
  std::snprintf(text, text_bytes, "%s", error->text.c_str());
  delete error;
  return code;
}

/// What a handler says of itself, such as that CUDA graphs may record it: XLA_FFI_Handler_TraitsBits.
__attribute__((visibility("default"))) std::uint32_t xlaTraits(XLA_FFI_Handler* handler) {
  const XLA_FFI_Api api = apiOfXla();
  XLA_FFI_Metadata metadata{};
  metadata.struct_size = XLA_FFI_Metadata_STRUCT_SIZE;
  metadata.api_version = {XLA_FFI_Api_Version_STRUCT_SIZE, nullptr, 0, 0};
  XLA_FFI_Metadata_Extension extension{{XLA_FFI_Metadata_Extension_STRUCT_SIZE, XLA_FFI_Extension_Metadata, nullptr},
                                       &metadata};
  XLA_FFI_CallFrame frame{};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = &api;
  frame.extension_start = &extension.extension_base;
  frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  handler(&frame);
  return metadata.traits;
}
}
