#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

namespace cancelable::testing {

// What the kernel says of a thread of this process: 'R' runs, 'S' sleeps, …; 0: there is none such any more.
inline char thread_state(pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(')');
    return name_end != std::string::npos ? text[name_end + 2] : '\0';
}

// Until it sleeps, in whatever it waits for, or has ended.
inline void wait_until_asleep(pid_t thread) {
    for (char state = 'R'; state != 'S' && state != '\0'; state = thread_state(thread))
        std::this_thread::yield();
}

}  // namespace cancelable::testing
