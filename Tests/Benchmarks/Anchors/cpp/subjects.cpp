#include "subjects.hpp"

const std::vector<Subject> subjects = {
    {"snapshot-read", "libstdcxx-atomic-shared-ptr", snapshot_read},
    {"snapshot-publish", "libstdcxx-atomic-shared-ptr", snapshot_publish},
    {"mutex", "std-mutex", mutex},
    {"rw-read", "std-shared-mutex", rw_read},
    {"key", "unordered_map", key},
};
