/* tally FILE: the account of a file of `numbered` lines, as JSON. Every byte of every line is compared. What a mark
   excuses is what it stands in the middle of: pieces of lines right before and after it, and one gap (or repetition). */
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { LINE = 100 };

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file)
        return 2;
    static char line[1 << 17], wanted[LINE + 1];
    long long next = 0, lines = 0, marks = 0, missing = 0, repeated = 0, most = 0, pieces = 0, unexcused = 0;
    int excused = 0, piece = 0;
    memset(wanted, '.', LINE);
    wanted[LINE - 1] = '\n';
    while (fgets(line, sizeof line, file)) {
        long long number;
        if (strncmp(line, "\xe2\x80\xa6", 3) == 0) {
            marks++, excused = 1, piece = 0;
            continue;
        }
        if (sscanf(line, "%15lld", &number) != 1)
            number = -1;
        char digits[17];
        snprintf(digits, sizeof digits, "%015lld", number);
        memcpy(wanted, digits, 15);
        if (strlen(line) != LINE || memcmp(line, wanted, LINE) != 0) {
            pieces++, piece = 1;
            continue;
        }
        if ((number != next || piece) && !excused)
            unexcused++;
        if (number > next)
            missing += number - next, most = number - next > most ? number - next : most;
        if (number < next)
            repeated += next - number;
        lines++, next = number + 1, excused = piece = 0;
    }
    printf("{\"lines\": %lld, \"next\": %lld, \"marks\": %lld, \"missing\": %lld, \"most\": %lld, \"repeated\": %lld, "
           "\"pieces\": %lld, \"unexcused\": %lld}\n",
           lines, next, marks, missing, most, repeated, pieces, unexcused + piece);
    return 0;
}
