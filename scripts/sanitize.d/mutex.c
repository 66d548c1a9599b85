// Tells ThreadSanitizer of the order that Swift's Mutex makes between threads that meet at it.
//
// Its quick path is an atomic exchange in the caller's own code, which the sanitizer sees. When threads meet, the lock
// is handed over by the kernel (FUTEX_LOCK_PI) from within libswiftSynchronization, which is not compiled for the
// sanitizer: whatever the lock guards would be reported. Preloaded, this stands before those three functions and hides
// nothing else. The names are the library's ABI, in Synchronization.swiftinterface.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SWIFT_CALL __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *mutex

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Missing in programs without the sanitizer, like `swift test` itself.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

static void acquire(void *mutex) {
    if (__tsan_acquire) __tsan_acquire(mutex);
}

static void release(void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
}

SWIFT_CALL void lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT_CALL void lock(uint32_t thread, SELF) {
    SWIFT_CALL void (*original)(uint32_t, SELF) = dlsym(RTLD_NEXT, LOCK);
    original(thread, mutex);
    acquire(mutex);
}

SWIFT_CALL bool try_lock(SELF) __asm__(TRY_LOCK);
SWIFT_CALL bool try_lock(SELF) {
    SWIFT_CALL bool (*original)(SELF) = dlsym(RTLD_NEXT, TRY_LOCK);
    bool is_locked = original(mutex);
    if (is_locked) acquire(mutex);
    return is_locked;
}

SWIFT_CALL void unlock(SELF) __asm__(UNLOCK);
SWIFT_CALL void unlock(SELF) {
    SWIFT_CALL void (*original)(SELF) = dlsym(RTLD_NEXT, UNLOCK);
    release(mutex);
    original(mutex);
}
