#include "CScheduler.h"

#include <stddef.h>

// Of Swift's runtime: "Concurrency.h", hooks for embedders. Stable since Swift 5.5.
#define SWIFT_CALL __attribute__((swiftcall))

typedef SWIFT_CALL void (*enqueue_original)(void *job);
typedef SWIFT_CALL void (*enqueue_hook)(void *job, enqueue_original original);
typedef struct {
    void *identity;
    void *implementation;
} serial_executor;

extern enqueue_hook swift_task_enqueueGlobal_hook;
extern SWIFT_CALL void swift_job_run(void *job, serial_executor executor);

static _Thread_local void *current;
static sluice_take_job take_job;

static SWIFT_CALL void enqueue(void *job, enqueue_original original) {
    if (current) {
        take_job(current, job);
    } else {
        original(job);
    }
}

void sluice_scheduler_install(sluice_take_job take) {
    take_job = take;
    swift_task_enqueueGlobal_hook = enqueue;
}

void sluice_scheduler_enter(void *scheduler) { current = scheduler; }

void sluice_scheduler_run(void *job) {
    serial_executor generic = {NULL, NULL};
    swift_job_run(job, generic);
}
