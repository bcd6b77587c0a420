#include <cstdio>
#include <unordered_map>

#include "subjects.hpp"

namespace {

std::string name_of(unsigned key) {
    char text[32];
    std::snprintf(text, sizeof text, "service.%08u.settings.xx", key);
    return text;
}

// Which key is looked up when: the same in all languages.
std::vector<std::uint32_t> order_of(unsigned keys) {
    std::vector<std::uint32_t> order(keys <= 4096 ? 4096 : 1 << 20);
    std::uint64_t x = 88172645463325252u;
    for (auto& next : order) {
        x = work_outside(x, 1);
        next = static_cast<std::uint32_t>(x % keys);
    }
    return order;
}

}  // namespace

void key(Plan plan) {
    plan.measured = plan.threads = 1;
    plan.others = 0;
    std::unordered_map<std::string, std::uint64_t> map;
    std::vector<std::string> names;
    for (unsigned i = 0; i < plan.keys; i++) {
        names.push_back(name_of(i));
        map.emplace(name_of(i), i);
    }
    const auto order = order_of(plan.keys);
    const std::size_t mask = order.size() - 1;
    std::size_t next = 0;
    measure(plan, [&](Worker& worker) {
        worker.cheap([&] { return map.find(names[order[next++ & mask]])->second; });
    });
}
