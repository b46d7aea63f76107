# shellcheck shell=bash
# bash completion for kvmnet
_kvmnet() {
    # shellcheck disable=SC2207 # no word that is offered holds a blank or a pattern
    COMPREPLY=($(kvmnet complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -F _kvmnet kvmnet
