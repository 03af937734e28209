#include "cli/application.h"

int main(int argc, char** argv) {
    return cancelable::cli::run_application(argc, argv);
}
