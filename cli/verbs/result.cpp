#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "cli/inside.h"
#include "cli/options.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/verbs/verbs.h"
#include "engine/process/fd.h"
#include "engine/result_file.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

std::unexpected<Error> too_large() {
    return failure(ErrorCode::usage, "a result has at most " + std::to_string(kResultLimit) +
                                         " bytes: put down where the rest can be found");
}

// All of it, but never more than can be too much.
Result<std::string> read_up_to_limit(int fd, const std::string& name) {
    std::string bytes;
    for (;;) {
        char buffer[8192];
        const ssize_t got = retry_eintr([&] { return ::read(fd, buffer, sizeof buffer); });
        if (got < 0) return failure(ErrorCode::usage, "cannot read " + name + ": " + errno_text(errno));
        if (got == 0) return bytes;
        bytes.append(buffer, static_cast<std::size_t>(got));
        if (bytes.size() > kResultLimit) return too_large();
    }
}

Result<std::string> read_result_from(const std::string& source) {
    if (source == "-") return read_up_to_limit(STDIN_FILENO, "the standard input");
    const auto file = open_file(source.c_str(), O_RDONLY);
    if (!file)
        return failure(ErrorCode::usage,
                       "cannot open " + in_quotes(source) + ": " + errno_text(file.error().os_errno));
    return read_up_to_limit(file->get(), in_quotes(source));
}

}  // namespace

int verb_result(Globals globals, const Words& words) {
    Options options("result",
                    "Puts down what has come of the operation that this is part of, in place of what was "
                    "there. It is kept however the operation ends.");
    options.example("cancelable result --text \"loss 0.12\"", "read it with cancelable show ID --result");
    options.example("./summary | cancelable result -", "up to 64 KiB of anything");
    Words files;
    std::optional<std::string> text;
    options.words("FILE", "where it is; -: the standard input", files);
    options.value("--text", "TEXT", "the result itself", [&](const std::string& said) -> Result<> {
        text = said;
        return {};
    });
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (files.size() + (text ? 1 : 0) != 1) {
        report_error("result needs one of FILE, - and --text TEXT");
        return kExitUsage;
    }
    auto bytes = text ? Result<std::string>(*text) : read_result_from(files.front());
    if (bytes && bytes->size() > kResultLimit) bytes = too_large();
    if (!bytes) return report(bytes.error());
    auto inside = connect_from_inside(globals);
    if (!inside) return report(inside.error());
    const ipc::ResultParams params{std::move(*bytes), inside->said};
    const auto answer = inside->client.call("operation.result", ipc::encode(params));
    return answer ? kExitOk : report(answer.error());
}

}  // namespace cancelable::cli
