#!/bin/sh
# The command `procman`: an interpreter that is isolated from its first moment, whatever PYTHON* variables are meant for
# what it runs. Which interpreter, the installer has written into the first lines of procman-python, beside this file.
me=$0
while [ -L "$me" ]; do
    to=$(readlink "$me")
    case $to in /*) me=$to ;; *) me=${me%/*}/$to ;; esac
done
program=${me%/*}/procman-python
{ IFS= read -r python && IFS= read -r exec; } < "$program" || exit 126
python=${python#??}
if [ "$python" = /bin/sh ]; then # a path with a space in it, or a long one: '''exec' "/a path/python" "$0" "$@"
    python=${exec#* }
    python=${python% \"\$0\"*}
    case $python in [\"\']*) python=${python#?} python=${python%?} ;; esac
fi
# A shell hands on another environment than it was given (PWD and SHLVL added, names with dots lost), so the true one
# goes along, in words of one line each, for the commands that start processes.
set -- -- "$@"
case ${2-} in
init | up) true=$(base64 "/proc/$$/environ" 2>/dev/null) && set -- = $true "$@" ;;
esac
exec "$python" -I -S -X utf8 "$program" "$@"
