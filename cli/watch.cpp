#include "cli/watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/lasting_connection.h"
#include "cli/report.h"
#include "cli/terminal/screen.h"
#include "cli/terminal/signals.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// The first lines that fit, each erasing what stood in its place before, and then everything below.
std::string as_screen(const std::string& text) {
    const std::size_t height = screen_height(STDOUT_FILENO).value_or(24);
    std::string out = "\x1b[H";
    std::size_t at = 0;
    // The last line of the screen stays free: a newline there would scroll.
    for (std::size_t line = 0; line + 1 < height && at < text.size(); ++line) {
        const std::size_t end = text.find('\n', at);
        out += text.substr(at, end - at) + "\x1b[K\n";
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return out + "\x1b[J";
}

// The screen as it was before comes back when this goes.
class AlternateScreen {
public:
    explicit AlternateScreen(bool wanted) : wanted_(wanted) {
        if (wanted_) (void)print("\x1b[?1049h\x1b[?25l");
    }
    AlternateScreen(const AlternateScreen&) = delete;
    AlternateScreen& operator=(const AlternateScreen&) = delete;
    ~AlternateScreen() {
        if (wanted_) (void)print("\x1b[?25h\x1b[?1049l");
    }

private:
    bool wanted_;
};

class Watcher {
public:
    using Render = std::function<Result<std::string>(const json&)>;
    Watcher(const Globals& globals, LastingConnection connection, ipc::ListParams params,
            SignalTokens& signals, const Render& render)
        : globals_(globals),
          connection_(std::move(connection)),
          params_(std::move(params)),
          signals_(signals),
          render_(render) {}

    Result<int> run() {
        const bool on_terminal = is_terminal(STDOUT_FILENO);
        const AlternateScreen screen(on_terminal);
        if (auto asked = ask(); !asked) return std::unexpected(asked.error());
        for (;;) {
            const bool was_up = connection_.is_up();
            auto happened = connection_.next();
            if (!happened) return std::unexpected(happened.error());
            if (was_up && !connection_.is_up() && !on_terminal)
                report_notice(globals_, "there is no supervisor now; waiting for the next one");
            // On a screen the list stays as it was, and says so.
            bool redraw = on_terminal && was_up != connection_.is_up();
            if (*happened) {
                auto* message = std::get_if<ipc::Message>(&**happened);
                if (message == nullptr) {
                    // Another supervisor counts its changes from elsewhere.
                    params_.after.reset();
                    if (auto asked = ask(); !asked) return std::unexpected(asked.error());
                    continue;
                }
                auto* response = std::get_if<ipc::Response>(message);
                if (response == nullptr || response->request != request_) continue;
                if (!response->result) return std::unexpected(response->result.error());
                last_ = std::move(*response->result);
                params_.after = last_.value("revision", std::uint64_t{0});
                if (auto asked = ask(); !asked) return std::unexpected(asked.error());
                redraw = true;
            } else if (!redraw) {
                redraw = wait(on_terminal);
            }
            if (signals_.polite().is_cancelled()) return 128 + signals_.polite_signal();
            if (!redraw || last_.is_null()) continue;
            auto text = render_(last_);
            if (!text) return std::unexpected(text.error());
            if (on_terminal && !connection_.is_up())
                text->insert(0, "there is no supervisor now; waiting for the next one\n");
            if (const int failed = print(on_terminal ? as_screen(*text) : *text); failed != 0) return failed;
        }
    }

private:
    Result<> ask() {
        const auto sent = connection_.send("operation.list", ipc::encode(params_));
        if (!sent) return std::unexpected(sent.error());
        request_ = *sent;
        return {};
    }

    // True where it is time to draw again although nothing came.
    bool wait(bool on_terminal) {
        pollfd watched[] = {{connection_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
        const int until_retry = connection_.poll_timeout();
        const int ready = ::poll(watched, 2, until_retry < 0 && on_terminal ? 1000 : until_retry);
        signals_.drain();
        return (ready == 0 && on_terminal) || !signals_.take_passed_on().empty();
    }

    const Globals& globals_;
    LastingConnection connection_;
    ipc::ListParams params_;
    SignalTokens& signals_;
    const Render& render_;
    std::uint64_t request_ = 0;
    json last_;
};

}  // namespace

int watch_list(const Globals& globals, ipc::ListParams params,
               const std::function<Result<std::string>(const json&)>& render) {
    // Who only watches starts no other supervisor in the place of the one that it has watched.
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::await_one);
    if (!connection) return report(connection.error());
    static constexpr int kPassedOn[] = {SIGWINCH};
    auto signals = SignalTokens::install(kPassedOn);
    if (!signals) return report(signals.error());
    const auto status = Watcher(globals, std::move(*connection), std::move(params), **signals, render).run();
    return status ? *status : report(status.error());
}

}  // namespace cancelable::cli
