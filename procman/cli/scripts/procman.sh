#!/bin/sh
# The command `procman`: an interpreter that is isolated from its first moment, whatever PYTHON* variables are meant for
# what it runs. Which interpreter, the installer has written into the first lines of procman-python, beside this file.
# The names are long so that they are nobody's: a variable that the caller exports would be handed on with our value.
procman_heard=
case ${1-} in
init | up) # as process 1 it would lose the signals that it does not trap, so they are noted, and go along
    for procman_signal in HUP INT QUIT USR1 USR2 TERM; do
        trap "procman_heard=\"\$procman_heard +$procman_signal\"" $procman_signal
    done
    ;;
esac
procman_me=$0
while [ -L "$procman_me" ]; do
    procman_to=$(readlink "$procman_me")
    case $procman_to in /*) procman_me=$procman_to ;; *) procman_me=${procman_me%/*}/$procman_to ;; esac
done
procman_script=${procman_me%/*}/procman-python
{ IFS= read -r procman_python && IFS= read -r procman_exec; } < "$procman_script" || exit 126
procman_python=${procman_python#??}
if [ "$procman_python" = /bin/sh ]; then # a path with a space in it, or a long one: '''exec' "/a path/python" "$0" "$@"
    procman_python=${procman_exec#* }
    procman_python=${procman_python% \"\$0\"*}
    case $procman_python in [\"\']*) procman_python=${procman_python#?} procman_python=${procman_python%?} ;; esac
fi
# The commands that start processes need to know their caller as it was. A shell hands on another environment than it was
# given (PWD and SHLVL added, names with dots lost), so the true one goes along: in variables, a line of base64 each,
# since anybody may read the words of a command. A very long one could not be given twice. And no signal may be lost
# while the interpreter starts: all are blocked for that, where env can do it; the caller's mask goes along.
set -- -- "$@"
procman_hold=
case ${2-} in
init | up)
    procman_mask=
    while read -r procman_key procman_value _; do
        case $procman_key in
        Pid:) procman_pid=$procman_value ;; # as /proc counts, which may be another namespace's
        SigBlk:) procman_mask=$procman_value && break ;;
        esac
    done 2> /dev/null < /proc/self/status
    if [ "$procman_mask" ]; then
        procman_hold='/usr/bin/env --block-signal'
        procman_environment=$($procman_hold base64 "/proc/$procman_pid/environ" 2> /dev/null) || {
            procman_hold=
            procman_environment=$(base64 "/proc/$procman_pid/environ" 2> /dev/null)
        } && [ ${#procman_environment} -lt 800000 ] && {
            procman_count=0
            for procman_line in $procman_environment; do
                procman_count=$((procman_count + 1))
                export "PROCMAN_CALLER_$procman_count=$procman_line"
            done
            set -- "=$procman_count" "$@"
        }
        set -- "$procman_mask" "$@"
    fi
    ;;
esac
case $procman_python in *=*) procman_hold= ;; esac # env would take it for a variable
exec $procman_hold "$procman_python" -I -S -X utf8 "$procman_script" $procman_heard "$@"
