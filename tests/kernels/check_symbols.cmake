# SPDX-License-Identifier: Apache-2.0
# Fails if one of the object files OBJECTS (a list) exports a function that the linker may take from another file instead:
# code compiled for one instruction set could then run on machines that lack it. NM is the program nm.
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} -C ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL " W [^\n]*" weak "${symbols}")
  if(weak)
    message(SEND_ERROR "${object} has weak functions:${weak}")
  endif()
endforeach()
