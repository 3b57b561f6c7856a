/* The least that a supervisor can do: vfork and exec N children, each the leader of a session, restart each at once, and
   on SIGTERM end them all with their groups, stopped or not. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static volatile sig_atomic_t ending;

static void end(int number) { ending = number; }

static pid_t start(char *program, int slot) {
    char text[32];
    snprintf(text, sizeof text, "%d", slot);
    setenv("PROCMAN_TASK_ID", text, 1);
    pid_t pid = vfork();
    if (pid == 0) {
        setsid();
        execve(program, (char *[]){program, NULL}, environ);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[2]) : 0, left = count;
    pid_t *pids = calloc(count, sizeof *pids);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
    for (int slot = 0; slot < count; slot++)
        pids[slot] = start(argv[1], slot);
    for (int told = 0; left > 0;) {
        if (ending && !told++)
            for (int slot = 0; slot < count; slot++)
                kill(-pids[slot], SIGTERM), kill(-pids[slot], SIGCONT);
        pid_t pid = waitpid(-1, NULL, 0);
        for (int slot = 0; pid > 0 && slot < count; slot++)
            if (pids[slot] == pid) {
                if (ending)
                    left--;
                else
                    pids[slot] = start(argv[1], slot);
                break;
            }
    }
    return 0;
}
