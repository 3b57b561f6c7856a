/* Makes twenty thousand orphans that double-forked into sessions of their own and end at once; then says so. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 200; i++) {
        if (fork() == 0) {
            for (int j = 0; j < 100; j++)
                if (fork() == 0) {
                    setsid();
                    _exit(0);
                }
            _exit(0);
        }
        wait(NULL);
    }
    puts("all gone");
    fflush(stdout);
    pause();
}
