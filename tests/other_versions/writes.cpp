// What a shim of another version writes; see CMakeLists.txt.
#include <fcntl.h>

#include <cstdio>
#include <string_view>

#include "engine/shim/bytes.h"
#include "engine/shim/channel.h"

// The names that the linker gives to what it replaces, and to what it puts in the place.
#define CANCELABLE_ENCODE "_ZN10cancelable6encodeERKNS_10ShimReportE"
#define CANCELABLE_WRITE_EXIT_RECORD                                                                   \
    "_ZN10cancelable17write_exit_recordEiRKNS_13OperationSpecERKNS_10ShimReportESt17basic_string_view" \
    "IcSt11char_traitsIcEE"

namespace cancelable {

std::vector<std::byte> encode_of_today(const ShimReport& report) asm("__real_" CANCELABLE_ENCODE);
std::vector<std::byte> encode_of_then(const ShimReport& report) asm("__wrap_" CANCELABLE_ENCODE);
Result<> write_record_of_today(int directory, const OperationSpec& spec, const ShimReport& report,
                               std::string_view why_lost) asm("__real_" CANCELABLE_WRITE_EXIT_RECORD);
Result<> write_record_of_then(int directory, const OperationSpec& spec, const ShimReport& report,
                              std::string_view why_lost) asm("__wrap_" CANCELABLE_WRITE_EXIT_RECORD);

namespace {

// The fields of 0.1.0.
ShimReport first_fields(const ShimReport& report) {
    ShimReport first;
    first.id = report.id;
    first.pid = report.pid;
    first.started_at = report.started_at;
    first.started = report.started;
    first.failed_at_exec = report.failed_at_exec;
    first.failed_errno = report.failed_errno;
    first.failed_doing = report.failed_doing;
    first.has_exited = report.has_exited;
    first.wait_status = report.wait_status;
    first.cancelation = report.cancelation;
    first.signals = report.signals;
    first.processes = report.processes;
    first.survivors = report.survivors;
    first.over = report.over;
    first.over_at = report.over_at;
    first.duration = report.duration;
    first.user_time = report.user_time;
    first.system_time = report.system_time;
    first.max_rss_bytes = report.max_rss_bytes;
    return first;
}

// Of a report with nothing in it: its numbers are as long as any, its texts and lists are empty.
constexpr std::size_t kEmptyReportOfThen = 26 * sizeof(std::int64_t) + 2;

// Behind it, what nobody knows yet.
std::vector<std::byte> with_more(std::vector<std::byte> bytes) {
    for (int i = 0; i < 100; ++i)
        bytes.push_back(static_cast<std::byte>(i * 37));
    return bytes;
}

std::string_view as_text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<std::byte> encode_of_then(const ShimReport& report) {
    if (CANCELABLE_WRITES_MORE) return with_more(encode_of_today(report));
    std::vector<std::byte> bytes = encode_of_today(first_fields(report));
    bytes.resize(bytes.size() - (encode_of_today(ShimReport{}).size() - kEmptyReportOfThen));
    return bytes;
}

Result<> write_record_of_then(int directory, const OperationSpec& spec, const ShimReport& report,
                              std::string_view why_lost) {
    std::vector<std::byte> description = encode(spec, LaunchSettings{});
    if (CANCELABLE_WRITES_MORE) description = with_more(std::move(description));
    ByteWriter out;
    out.put(as_text(description));
    out.put(as_text(encode_of_then(report)));
    if (CANCELABLE_WRITES_MORE) out.put(why_lost);
    std::vector<std::byte> record = out.take();
    if (CANCELABLE_WRITES_MORE) record = with_more(std::move(record));
    const std::string draft = exit_record_draft_name(spec.id);
    const UniqueFd file(::openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return system_error("cannot create the exit record");
    if (auto written = write_all(file.get(), record); !written) return written;
    if (::renameat(directory, draft.c_str(), directory, exit_record_name(spec.id).c_str()) != 0)
        return system_error("cannot put the exit record in its place");
    return {};
}

}  // namespace cancelable
