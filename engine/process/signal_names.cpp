#include "engine/process/signal_names.h"

#include <array>
#include <cctype>
#include <charconv>
#include <csignal>

namespace cancelable {
namespace {

struct Named {
    std::string_view name;
    int number;
};

// The first name of a number is the one it is shown by; what follows are its other spellings.
constexpr std::array kNames{
    Named{"HUP", SIGHUP},   Named{"INT", SIGINT},       Named{"QUIT", SIGQUIT}, Named{"ILL", SIGILL},
    Named{"TRAP", SIGTRAP}, Named{"ABRT", SIGABRT},     Named{"BUS", SIGBUS},   Named{"FPE", SIGFPE},
    Named{"KILL", SIGKILL}, Named{"USR1", SIGUSR1},     Named{"SEGV", SIGSEGV}, Named{"USR2", SIGUSR2},
    Named{"PIPE", SIGPIPE}, Named{"ALRM", SIGALRM},     Named{"TERM", SIGTERM}, Named{"STKFLT", SIGSTKFLT},
    Named{"CHLD", SIGCHLD}, Named{"CONT", SIGCONT},     Named{"STOP", SIGSTOP}, Named{"TSTP", SIGTSTP},
    Named{"TTIN", SIGTTIN}, Named{"TTOU", SIGTTOU},     Named{"URG", SIGURG},   Named{"XCPU", SIGXCPU},
    Named{"XFSZ", SIGXFSZ}, Named{"VTALRM", SIGVTALRM}, Named{"PROF", SIGPROF}, Named{"WINCH", SIGWINCH},
    Named{"IO", SIGIO},     Named{"PWR", SIGPWR},       Named{"SYS", SIGSYS},   Named{"IOT", SIGABRT},
    Named{"CLD", SIGCHLD},  Named{"POLL", SIGIO},
};

bool same(std::string_view text, std::string_view upper) noexcept {
    if (text.size() != upper.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (std::toupper(static_cast<unsigned char>(text[i])) != upper[i]) return false;
    return true;
}

std::optional<int> parse_number(std::string_view digits) noexcept {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value < 0) return std::nullopt;
    return value;
}

// SIGRTMIN is the C library's, and known only at run time: the kernel's first two belong to its threads.
std::optional<int> in_range(int number) noexcept {
    const bool ordinary = number >= 1 && number < 32;
    const bool real_time = number >= SIGRTMIN && number <= SIGRTMAX;
    return ordinary || real_time ? std::optional(number) : std::nullopt;
}

std::optional<int> parse_real_time(std::string_view text) noexcept {
    if (text.size() < 5) return std::nullopt;
    const std::string_view base = text.substr(0, 5);
    const bool from_min = same(base, "RTMIN");
    if (!from_min && !same(base, "RTMAX")) return std::nullopt;
    if (text.size() == 5) return from_min ? SIGRTMIN : SIGRTMAX;
    if (text[5] != (from_min ? '+' : '-')) return std::nullopt;
    const auto offset = parse_number(text.substr(6));
    if (!offset || *offset > SIGRTMAX - SIGRTMIN) return std::nullopt;
    return from_min ? SIGRTMIN + *offset : SIGRTMAX - *offset;
}

}  // namespace

std::optional<int> parse_signal(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(text.front())) != 0) {
        const auto number = parse_number(text);
        return number ? in_range(*number) : std::nullopt;
    }
    if (text.size() > 3 && same(text.substr(0, 3), "SIG")) text.remove_prefix(3);
    for (const Named& known : kNames)
        if (same(text, known.name)) return known.number;
    return parse_real_time(text);
}

std::string signal_name(int signal_number) {
    for (const Named& known : kNames)
        if (known.number == signal_number) return "SIG" + std::string(known.name);
    if (signal_number == SIGRTMIN) return "SIGRTMIN";
    if (signal_number > SIGRTMIN && signal_number <= SIGRTMAX)
        return "SIGRTMIN+" + std::to_string(signal_number - SIGRTMIN);
    return "SIG" + std::to_string(signal_number);
}

}  // namespace cancelable
