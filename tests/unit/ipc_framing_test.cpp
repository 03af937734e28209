#include "ipc/framing.h"

#include <doctest/doctest.h>

#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;

namespace {

std::vector<std::string> lines_of(FrameReader& reader) {
    std::vector<std::string> lines;
    while (const auto line = reader.next())
        lines.emplace_back(*line);
    return lines;
}

void append(std::vector<std::string>& all, std::vector<std::string> more) {
    all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

TEST_CASE("lines come out whole wherever the stream was split") {
    const std::string stream = "first\n\nthe third\n{\"x\":1}\n";
    const std::vector<std::string> expected{"first", "", "the third", "{\"x\":1}"};
    for (std::size_t a = 0; a <= stream.size(); ++a) {
        for (std::size_t b = a; b <= stream.size(); ++b) {
            FrameReader reader;
            std::vector<std::string> lines;
            for (const auto& piece : {stream.substr(0, a), stream.substr(a, b - a), stream.substr(b)}) {
                REQUIRE(reader.feed(piece));
                append(lines, lines_of(reader));
            }
            CHECK(lines == expected);
            CHECK_FALSE(reader.has_partial_line());
        }
    }
}

TEST_CASE("lines that are read later than they came are still whole") {
    FrameReader reader;
    for (const char c : std::string("one\ntwo\nthr"))
        REQUIRE(reader.feed(std::string_view(&c, 1)));
    CHECK(lines_of(reader) == std::vector<std::string>{"one", "two"});
    CHECK(reader.has_partial_line());
    REQUIRE(reader.feed("ee\n"));
    CHECK(lines_of(reader) == std::vector<std::string>{"three"});
}

TEST_CASE("a line may be as long as the bound, and no byte longer") {
    FrameReader reader(8);
    REQUIRE(reader.feed("12345678\nabc\n"));
    CHECK(lines_of(reader) == std::vector<std::string>{"12345678", "abc"});
    SUBCASE("in one piece") {
        CHECK_FALSE(reader.feed("123456789\n"));
    }
    SUBCASE("behind a good one") {
        CHECK_FALSE(reader.feed("1\n123456789\n"));
    }
    SUBCASE("unfinished") {
        CHECK_FALSE(reader.feed("123456789"));
    }
    SUBCASE("byte by byte") {
        for (int i = 0; i < 8; ++i)
            REQUIRE(reader.feed("x"));
        const auto overflow = reader.feed("x");
        REQUIRE_FALSE(overflow);
        CHECK(overflow.error().code == ErrorCode::limit);
        CHECK(overflow.error().sentence() == "a message is at most 8 bytes long");
    }
}

TEST_CASE("each of pipelined messages gets its own descriptors at every split point") {
    // Message i carries i descriptors, and is cut in two at every byte.
    const std::array<std::string, 4> messages{"none\n", "one\n", "two two\n", "three\n"};
    for (const bool read_between : {false, true}) {
        for (std::size_t cut = 1; cut < 8; ++cut) {
            auto [ours, theirs] = socket_pair();
            FrameReader reader;
            std::vector<std::vector<ino_t>> sent;
            std::vector<std::vector<ino_t>> received;
            const auto read_all = [&] {
                while (true) {
                    const auto progress = reader.read_from(ours.get());
                    REQUIRE(progress);
                    if (*progress != FrameReader::Progress::read) break;
                }
                while (reader.next()) {
                    auto taken = reader.take_descriptors(received.size());
                    REQUIRE(taken);
                    received.emplace_back();
                    for (const UniqueFd& fd : *taken)
                        received.back().push_back(inode_of(fd.get()));
                }
            };
            for (std::size_t i = 0; i < messages.size(); ++i) {
                std::vector<UniqueFd> files;
                std::vector<int> raw;
                sent.emplace_back();
                for (std::size_t j = 0; j < i; ++j) {
                    files.push_back(anonymous_file());
                    raw.push_back(files.back().get());
                    sent.back().push_back(inode_of(raw.back()));
                }
                const std::string& message = messages[i];
                const std::size_t first = std::min(cut, message.size());
                REQUIRE(send_some(theirs.get(), message.substr(0, first), raw).value_or(0) == first);
                if (read_between) read_all();
                if (first < message.size())
                    REQUIRE(send_some(theirs.get(), message.substr(first), {}).value_or(0) ==
                            message.size() - first);
            }
            read_all();
            CHECK(received == sent);
            CHECK(reader.waiting_descriptors() == 0);
        }
    }
}

TEST_CASE("a message that lists more descriptors than came is an error of the protocol") {
    FrameReader reader;
    std::vector<UniqueFd> one;
    one.push_back(anonymous_file());
    REQUIRE(reader.feed("x\n", std::move(one)));
    const auto taken = reader.take_descriptors(2);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == ErrorCode::protocol);
    CHECK(reader.take_descriptors(1));
}

TEST_CASE("descriptors that nobody uses pass a bound, and none of them leaks") {
    const std::size_t before = open_descriptors();
    {
        FrameReader reader;
        for (std::size_t i = 0; i < kMaxDescriptors; ++i) {
            std::vector<UniqueFd> one;
            one.push_back(anonymous_file());
            REQUIRE(reader.feed("x", std::move(one)));
        }
        std::vector<UniqueFd> one;
        one.push_back(anonymous_file());
        const auto overflow = reader.feed("x", std::move(one));
        REQUIRE_FALSE(overflow);
        CHECK(overflow.error().code == ErrorCode::limit);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("a reader that has ended says so, and a silent one that there is nothing") {
    auto [ours, theirs] = socket_pair();
    FrameReader reader;
    CHECK(reader.read_from(ours.get()).value() == FrameReader::Progress::would_block);
    theirs.reset();
    CHECK(reader.read_from(ours.get()).value() == FrameReader::Progress::ended);
}

TEST_CASE("the queue keeps what the kernel does not take, and loses no byte of it") {
    auto [ours, theirs] = socket_pair();
    OutputQueue queue;
    std::string expected;
    for (int i = 0; i < 200; ++i) {
        const std::string message(static_cast<std::size_t>(1000 + 37 * i), static_cast<char>('a' + i % 26));
        REQUIRE(queue.push(message));
        expected += message + "\n";
    }
    CHECK(queue.size_bytes() == expected.size());
    std::string got;
    bool was_full = false;
    while (got.size() < expected.size()) {
        REQUIRE(queue.flush(ours.get()));
        was_full = was_full || !queue.empty();
        std::array<char, 5000> chunk{};
        std::vector<UniqueFd> none;
        const auto received = receive_some(theirs.get(), chunk, none);
        REQUIRE(received);
        got.append(chunk.data(), received->bytes);
    }
    CHECK(was_full);
    CHECK(got == expected);
    CHECK(queue.empty());
}

TEST_CASE("descriptors of queued messages ride on their own message's first byte") {
    auto [ours, theirs] = socket_pair();
    OutputQueue queue;
    const std::string long_message(400'000,
                                   'x');  // more than a socket buffer: the queue has to wait in the middle
    std::vector<ino_t> sent;
    for (int i = 0; i < 3; ++i) {
        std::vector<UniqueFd> one;
        one.push_back(anonymous_file());
        sent.push_back(inode_of(one.back().get()));
        REQUIRE(queue.push(long_message, std::move(one)));
        REQUIRE(queue.push("without"));
    }
    FrameReader reader;
    std::vector<ino_t> received;
    std::size_t lines = 0;
    while (lines < 6) {
        REQUIRE(queue.flush(ours.get()));
        REQUIRE(reader.read_from(theirs.get()));
        while (reader.next()) {
            if (lines++ % 2 != 0) continue;
            auto taken = reader.take_descriptors(1);
            REQUIRE(taken);
            received.push_back(inode_of(taken->front().get()));
        }
    }
    CHECK(received == sent);
    CHECK(reader.waiting_descriptors() == 0);
}

TEST_CASE("the queue refuses what passes its bound, and keeps what it had") {
    OutputQueue queue(10);
    REQUIRE(queue.push("12345"));  // With its newline, 6 bytes.
    CHECK_FALSE(queue.push("6789"));
    CHECK(queue.size_bytes() == 6);
    CHECK(queue.push("678"));
    CHECK(queue.size_bytes() == 10);
}
