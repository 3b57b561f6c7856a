/* numbered LIFE ALL FILE: lines of 100 bytes that say their number, LIFE of them from the one at which the last life
   ended, which FILE remembers; then it fails, or waits once it is at ALL. Asked to end it finishes its piece and is
   done. A piece is no whole number of pages, nor of what a pipe holds. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 100, BATCH = 655 };

static int asked_to_end(void) {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM);
}

int main(int argc, char **argv) {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (argc != 4)
        return 2;
    long long number = 0, left = atoll(argv[1]), all = atoll(argv[2]);
    FILE *file = fopen(argv[3], "r+");
    if (!file || fscanf(file, "%lld", &number) != 1)
        return 2;
    if (left > all - number)
        left = all - number;
    static char text[LINE * BATCH];
    memset(text, '.', sizeof text);
    while (left > 0 && !asked_to_end()) {
        int lines = left < BATCH ? left : BATCH, size = lines * LINE, done = 0;
        for (int at = 0; at < lines; at++, number++) {
            char digits[16];
            snprintf(digits, sizeof digits, "%015lld", number);
            memcpy(text + at * LINE, digits, 15);
            text[at * LINE + LINE - 1] = '\n';
        }
        while (done < size) {
            ssize_t got = write(1, text + done, size - done);
            if (got < 0)
                return 3;
            done += got;
        }
        left -= lines;
    }
    rewind(file);
    fprintf(file, "%lld\n", number);
    fclose(file);
    if (number < all && !asked_to_end())
        return 1;
    int heard;
    sigwait(&term, &heard);
    return 0;
}
