#include "engine/shim/shim_process.h"

int main(int argc, char** argv) {
    return cancelable::ShimProcess(argc, argv).run();
}
