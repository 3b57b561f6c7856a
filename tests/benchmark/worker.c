/* A worker that does nothing but say when it began: CLOCK_MONOTONIC in ns, and its pid, in its slot of the board. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t stamp[2] = {now.tv_sec * 1000000000ull + now.tv_nsec, getpid()};
    int board = open(getenv("BOARD"), O_WRONLY);
    if (board < 0 || pwrite(board, stamp, sizeof stamp, atol(getenv("PROCMAN_TASK_ID")) * sizeof stamp) < 0)
        return 1;
    close(board);
    for (;;)
        pause();
}
