/* Lines of 100 bytes that say their number: so many from the one at which the last life ended, which a file remembers.
   Without a file: the same lines from number 0, to compare with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 100, BATCH = 655 };

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    long long number = 0, left = atoll(argv[1]), all = atoll(argv[2]);
    FILE *file = argc > 3 ? fopen(argv[3], "r+") : NULL;
    if (file && fscanf(file, "%lld", &number) != 1)
        number = 0;
    if (left > all - number)
        left = all - number;
    static char text[LINE * BATCH + 1];
    memset(text, '.', LINE * BATCH);
    while (left > 0) {
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
    if (file) {
        rewind(file);
        fprintf(file, "%lld\n", number);
        fclose(file);
        if (number < all)
            return 1;
        for (;;)
            pause();
    }
    return 0;
}
