#include "engine/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

namespace cancelable {
namespace {

bool tells_of_damage(int code) {
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_ERROR:       // a table or a column is missing
        case SQLITE_CONSTRAINT:  // of a schema that is not ours any more
        case SQLITE_MISMATCH:
        case SQLITE_FORMAT:
            return true;
        default:
            return false;
    }
}

int errno_for(int code, int os_errno) {
    switch (code & 0xff) {
        case SQLITE_FULL:
            return ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return EBUSY;
        case SQLITE_NOMEM:
            return ENOMEM;
        case SQLITE_INTERRUPT:
            return ECANCELED;
        case SQLITE_READONLY:
            return EROFS;
        case SQLITE_PERM:
            return EACCES;
        default:
            return os_errno != 0 ? os_errno : EIO;
    }
}

std::unexpected<Error> sqlite_error(sqlite3* database, int code) {
    if (tells_of_damage(code))
        return failure(ErrorCode::damaged, std::string("the history is damaged: ") + ::sqlite3_errstr(code));
    const int os_errno = database != nullptr ? ::sqlite3_system_errno(database) : 0;
    return system_error("cannot use the history", errno_for(code, os_errno));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
    ::sqlite3_finalize(statement);
}

Statement& Statement::bind(std::int64_t value) noexcept {
    const int code = ::sqlite3_bind_int64(statement_.get(), ++bound_, value);
    if (code != SQLITE_OK) bind_failure_ = code;
    return *this;
}

Statement& Statement::bind(std::string_view text) noexcept {
    const int code =
        ::sqlite3_bind_text64(statement_.get(), ++bound_, text.data() != nullptr ? text.data() : "",
                              text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) bind_failure_ = code;
    return *this;
}

Statement& Statement::bind(std::span<const std::byte> blob) noexcept {
    const int code =
        ::sqlite3_bind_blob64(statement_.get(), ++bound_, blob.data(), blob.size(), SQLITE_STATIC);
    if (code != SQLITE_OK) bind_failure_ = code;
    return *this;
}

Statement& Statement::bind(std::optional<std::int64_t> value) noexcept {
    return value ? bind(*value) : bind_null();
}

Statement& Statement::bind_null() noexcept {
    const int code = ::sqlite3_bind_null(statement_.get(), ++bound_);
    if (code != SQLITE_OK) bind_failure_ = code;
    return *this;
}

Result<bool> Statement::step() noexcept {
    sqlite3* const database = ::sqlite3_db_handle(statement_.get());
    if (bind_failure_ != SQLITE_OK) return sqlite_error(database, std::exchange(bind_failure_, SQLITE_OK));
    const int code = ::sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return sqlite_error(database, ::sqlite3_extended_errcode(database));
}

Result<> Statement::run() noexcept {
    for (;;) {
        const auto row = step();
        if (row && *row) continue;
        reset();
        if (!row) return std::unexpected(row.error());
        return {};
    }
}

void Statement::reset() noexcept {
    ::sqlite3_reset(statement_.get());
    ::sqlite3_clear_bindings(statement_.get());
    bound_ = 0;
}

std::int64_t Statement::integer(int column) const noexcept {
    return ::sqlite3_column_int64(statement_.get(), column);
}

std::optional<std::int64_t> Statement::optional_integer(int column) const noexcept {
    if (::sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
    return integer(column);
}

std::string_view Statement::text(int column) const noexcept {
    const unsigned char* const text = ::sqlite3_column_text(statement_.get(), column);
    if (text == nullptr) return {};
    return {reinterpret_cast<const char*>(text),
            static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::byte> Statement::blob(int column) const noexcept {
    const void* const blob = ::sqlite3_column_blob(statement_.get(), column);
    if (blob == nullptr) return {};
    return {static_cast<const std::byte*>(blob),
            static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column))};
}

void Database::Close::operator()(sqlite3* database) const noexcept {
    ::sqlite3_close_v2(database);
}

Result<Database> Database::open(const std::string& path, Access access, int busy_patience_ms) {
    sqlite3* opened = nullptr;
    // A connection for reading is opened for writing too where it can be: the first one to come needs to make
    // the shared memory of the log. It is kept from changing anything by query_only.
    const int code = ::sqlite3_open_v2(
        path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    Database database(opened);
    if (code != SQLITE_OK) return sqlite_error(opened, code);
    ::sqlite3_busy_timeout(opened, busy_patience_ms);
    ::sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    ::sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    if (auto set = database.execute(access == Access::read
                                        ? "PRAGMA query_only = ON; PRAGMA cell_size_check = ON;"
                                        : "PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON;"
                                          "PRAGMA journal_size_limit = 4194304;");
        !set)
        return std::unexpected(set.error());
    return database;
}

Result<> Database::execute(const char* statements) {
    const int code = ::sqlite3_exec(database_.get(), statements, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return sqlite_error(database_.get(), code);
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* prepared = nullptr;
    const int code = ::sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    if (code != SQLITE_OK) return sqlite_error(database_.get(), code);
    return Statement(prepared);
}

Result<std::int64_t> Database::number(std::string_view sql) {
    auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    const auto row = statement->step();
    if (!row) return std::unexpected(row.error());
    return *row ? statement->integer(0) : 0;
}

std::int64_t Database::changes() const noexcept {
    return ::sqlite3_changes64(database_.get());
}

void Database::ask_to_go_on(std::function<bool()> goes_on) {
    constexpr int kSteps = 4096;
    if (!goes_on) {
        ::sqlite3_progress_handler(database_.get(), 0, nullptr, nullptr);
        goes_on_.reset();
        return;
    }
    goes_on_ = std::make_unique<std::function<bool()>>(std::move(goes_on));
    ::sqlite3_progress_handler(
        database_.get(), kSteps,
        [](void* asked) { return (*static_cast<std::function<bool()>*>(asked))() ? 0 : 1; }, goes_on_.get());
}

Result<> Database::define(const char* name, bool (*function)(std::string_view, std::string_view)) {
    const auto call = [](sqlite3_context* context, int, sqlite3_value** values) {
        const auto text = [](sqlite3_value* value) {
            const unsigned char* const bytes = ::sqlite3_value_text(value);
            return bytes == nullptr
                       ? std::string_view()
                       : std::string_view(reinterpret_cast<const char*>(bytes),
                                          static_cast<std::size_t>(::sqlite3_value_bytes(value)));
        };
        using Function = bool (*)(std::string_view, std::string_view);
        const auto defined = reinterpret_cast<Function>(::sqlite3_user_data(context));
        ::sqlite3_result_int(context, defined(text(values[0]), text(values[1])) ? 1 : 0);
    };
    const int code = ::sqlite3_create_function_v2(
        database_.get(), name, 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
        reinterpret_cast<void*>(function), call, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return sqlite_error(database_.get(), code);
    return {};
}

Result<Transaction> Transaction::begin(Database& database) {
    if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return std::unexpected(begun.error());
    return Transaction(database);
}

Transaction::~Transaction() {
    // Where SQLite has rolled back by itself already, this fails, and that is all right.
    if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

Result<> Transaction::commit() {
    auto committed = database_->execute("COMMIT");
    if (committed) database_ = nullptr;
    return committed;
}

}  // namespace cancelable
