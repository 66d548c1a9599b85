#pragma once

#include <stdbool.h>

/// Takes a job that became ready on a thread with a scheduler.
typedef void (*sluice_take_job)(void *scheduler, void *job);

/// From now on, jobs of Swift's concurrency that become ready on a thread with a scheduler go to it instead of the
/// global pool. To be called once.
void sluice_scheduler_install(sluice_take_job take);

/// The scheduler of the calling thread; NULL for none.
void sluice_scheduler_enter(void *scheduler);

/// Runs a job on the calling thread until it suspends or ends.
void sluice_scheduler_run(void *job);
