#include "cli/application.h"
#include "cli/leave.h"

int main(int argc, char** argv) {
    cancelable::cli::leave(cancelable::cli::run_application(argc, argv));
}
