# Writes the content of a text file into a C header, as a string:
#   cmake -D INPUT=schema.sql -D OUTPUT=schema.sql.h -D NAME=vmdev_schema_sql -P embed.cmake
# As bytes and not as a literal: no escapes, and no limit of length.
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
get_filename_component(file "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "/* Generated from ${file}. */\nstatic const char ${NAME}[] = {\n${bytes}\n0};\n")
