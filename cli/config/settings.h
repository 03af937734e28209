#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/batch/halt.h"
#include "cli/batch/jobs.h"
#include "cli/render/colors.h"
#include "engine/shim/spec.h"

namespace cancelable::cli {

enum class OnDisconnect : std::uint8_t { cancel, keep };

// What every option of `run` comes to, whether it was said by a flag, the environment or the configuration.
struct RunSettings {
    bool detach = false;
    std::string name;  // empty: the command's base name
    std::chrono::milliseconds timeout{0};
    std::chrono::milliseconds grace{10'000};
    int signal = SIGTERM;
    Orphans orphans = Orphans::kill;
    bool pause_timeouts = false;
    std::string cwd;                                       // empty: the caller's
    std::vector<std::pair<std::string, std::string>> env;  // on top of the caller's
    Tags tags;
    std::string parent;       // empty: the operation around this one; "none", or an id
    std::optional<bool> log;  // nothing: detached operations only
    OnDisconnect on_disconnect = OnDisconnect::cancel;
    bool preserve_status = false;
    std::vector<std::string> cancel_on;  // sources, in their canonical form
    HookSettings hooks;

    bool logs() const noexcept { return log.value_or(detach); }
};

// What is asked of `run --batch` beside that.
struct BatchSettings {
    Jobs jobs;
    bool keep_order = false;
    Halt halt;
};

struct Settings {
    RunSettings run;
    BatchSettings batch;
    std::chrono::milliseconds idle_exit{600'000};  // [supervisor]; 0: never
    std::size_t history_size = 1000;
    std::size_t history_keep = 100'000;             // [history]; 0: any number
    std::chrono::milliseconds history_keep_for{0};  // 0: for ever
    ColorChoice color = ColorChoice::automatic;     // [output]
};

}  // namespace cancelable::cli
