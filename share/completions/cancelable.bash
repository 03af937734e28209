# Completion of cancelable for bash.

_cancelable_ids() {
    cancelable "${@}" --ids 2>/dev/null
}

_cancelable() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local verbs="run list ls ps cancel stop kill pause resume signal show inspect wait logs events stats prune clean current progress result shield supervisor config"
    local everywhere="--socket --config --color --quiet --verbose --help"
    local selectors="--name --tag --status --older-than --newer-than --since --until --parent --all"
    local run="--detach --name --timeout --grace --signal --orphans --pause-timeouts --cwd --env --tag --parent --log --no-log
        --on-disconnect --preserve-status --cancel-on --on-start --on-cancel --on-end --hook-timeout
        --batch --null --jobs --keep-order --halt"

    # The verb is the first word that is neither an option nor the value of one.
    local verb="" at
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            --socket | --config | --color) ((at++)) ;;
            -*) ;;
            *) verb=${COMP_WORDS[at]}; break ;;
        esac
    done

    case $previous in
        --color) COMPREPLY=($(compgen -W "auto always never" -- "$current")); return ;;
        --cancel-on) COMPREPLY=($(compgen -W "none timeout: at: idle: rss: cpu: processes: host-memory: host-load: disk: file: cmd: signal: parent disconnect any( all(" -- "$current")); compopt -o nospace; return ;;
        --orphans) COMPREPLY=($(compgen -W "kill wait leave" -- "$current")); return ;;
        --halt) COMPREPLY=($(compgen -W "never now,fail=1 soon,fail=1 now,success=1" -- "$current")); return ;;
        --on-disconnect) COMPREPLY=($(compgen -W "cancel keep" -- "$current")); return ;;
        --signal) COMPREPLY=($(compgen -W "TERM INT HUP QUIT USR1 USR2 KILL" -- "$current")); return ;;
        --status) COMPREPLY=($(compgen -W "pending running paused cancelling completed failed cancelled timeout lost" -- "$current")); return ;;
        --kind) COMPREPLY=($(compgen -W "accepted adopted status cancel signal progress result survivors ended hook" -- "$current")); return ;;
        --socket | --config | --batch) compopt -o default; return ;;
        -C | --cwd) compopt -o dirnames; return ;;
        --parent) COMPREPLY=($(compgen -W "none $(_cancelable_ids list)" -- "$current")); return ;;
    esac

    case $verb in
        "") COMPREPLY=($(compgen -W "$verbs $everywhere --version" -- "$current")) ;;
        run)
            # Behind the options comes a command with words of its own.
            local word
            for ((at++; at < COMP_CWORD; at++)); do
                case ${COMP_WORDS[at]} in
                    -n | --name | -t | --timeout | --cancel-on | --grace | --signal | --orphans | -C | --cwd | -e | --env | --tag | \
                        --parent | --on-disconnect | --on-start | --on-cancel | --on-end | --hook-timeout | --batch | -j | --jobs | --halt | --socket | --config | --color) ((at++)) ;;
                    --) ((at++)); break ;;
                    -*) ;;
                    *) break ;;
                esac
            done
            if [[ $at -lt $COMP_CWORD ]] && declare -F _command_offset >/dev/null; then
                _command_offset "$at"
            elif [[ $current == -* ]]; then
                COMPREPLY=($(compgen -W "$run $everywhere" -- "$current"))
            else
                COMPREPLY=($(compgen -c -- "$current"))
            fi ;;
        list | ls | ps) COMPREPLY=($(compgen -W "$selectors --limit --ids --json --tree --watch $everywhere" -- "$current")) ;;
        pause | resume) COMPREPLY=($(compgen -W "--no-wait --json $selectors $everywhere" -- "$current")) ;;
        signal) COMPREPLY=($(compgen -W "--signal --tree --json $selectors $everywhere" -- "$current")) ;;
        cancel | stop | kill)
            COMPREPLY=($(compgen -W "$selectors --message --signal --grace --now --no-wait --dry-run --json $everywhere
                $(_cancelable_ids list)" -- "$current")) ;;
        wait) COMPREPLY=($(compgen -W "$selectors --any --timeout --json $everywhere $(_cancelable_ids list)" -- "$current")) ;;
        shield) COMPREPLY=($(compgen -W "--for $everywhere" -- "$current") $(compgen -c -- "$current")) ;;
        progress) COMPREPLY=($(compgen -W "$everywhere" -- "$current")) ;;
        result) compopt -o default; COMPREPLY=($(compgen -W "--text $everywhere" -- "$current")) ;;
        show | inspect) COMPREPLY=($(compgen -W "--json --result $everywhere $(_cancelable_ids list --all)" -- "$current")) ;;
        logs) COMPREPLY=($(compgen -W "--follow --lines $everywhere $(_cancelable_ids list --all)" -- "$current")) ;;
        events) COMPREPLY=($(compgen -W "$selectors --kind --replay --after --no-follow --json $everywhere $(_cancelable_ids list)" -- "$current")) ;;
        prune | clean)
            COMPREPLY=($(compgen -W "--older-than --keep --status --dry-run --json $everywhere" -- "$current")) ;;
        stats) COMPREPLY=($(compgen -W "$selectors --json $everywhere" -- "$current")) ;;
        current) COMPREPLY=($(compgen -W "--json $everywhere" -- "$current")) ;;
        supervisor) COMPREPLY=($(compgen -W "run start stop restart status --cancel --keep --json $everywhere" -- "$current")) ;;
        config) COMPREPLY=($(compgen -W "path show check $everywhere" -- "$current")) ;;
    esac
}

complete -F _cancelable cancelable
