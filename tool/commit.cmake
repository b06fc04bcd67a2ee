# Writes HEADER with the commit being built, only when it changes: cmake -DROOT=… -DHEADER=… -P commit.cmake
execute_process(COMMAND git -C ${ROOT} describe --always --dirty --abbrev=10 --match=v*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define TL_COMMIT \"${commit}\"\n")
