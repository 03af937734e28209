#include "engine/shim/shim.h"

int main() {
    return cancelable::Shim().run();
}
