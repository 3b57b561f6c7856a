/* A worker that waits for its gate (a fifo), writes so many lines of 100 bytes in pieces of 64 KiB, and lives on. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 100, PIECE = 65536 };

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    static char text[PIECE + LINE];
    for (int at = 0; at < PIECE + LINE; at++)
        text[at] = at % LINE == LINE - 1 ? '\n' : 'a' + at % LINE % 26;
    long long left = atoll(argv[2]) * LINE, done = 0;
    int gate = open(argv[1], O_RDONLY);
    if (gate < 0)
        return 1;
    close(gate);
    while (left > 0) {
        ssize_t got = write(1, text + done % LINE, left < PIECE ? left : PIECE);
        if (got < 0)
            return 1;
        left -= got;
        done += got;
    }
    if (argc > 3)
        return 0;
    for (;;)
        pause();
}
