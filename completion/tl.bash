# SPDX-License-Identifier: Apache-2.0
# Completion of `tl` in bash: sub-commands, their options, and files.
_tl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" w
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $w in run | test | bench | check | repl | show | predict | convert | explain | ops) command=$w; break ;; esac
  done
  local global="--help --version --quiet --threads --device --precision --isa --seed --timeout --max-memory --no-cache"
  local options=""
  case $before in
    --precision) mapfile -t COMPREPLY < <(compgen -W "auto fp16 fp32 bf16" -- "$word"); return ;;
    --isa) mapfile -t COMPREPLY < <(compgen -W "base avx2 avx512" -- "$word"); return ;;
    --device) mapfile -t COMPREPLY < <(compgen -W "cpu" -- "$word"); return ;;
    --inputs | --outputs | --expect | --input) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  case $command in
    "") mapfile -t COMPREPLY < <(compgen -W "run test bench check repl show predict convert explain ops $global" -- "$word"); return ;;
    run) options="--check-numerics" ;;
    show) options="--json --program" ;;
    predict) options="--inputs --input --outputs --function --random --top --keep --expect --rtol --atol" ;;
    convert) options="--fix-shape --batch --dense --for --split-embedding" ;;
    bench) options="--seconds --warmup --batch --json --csv --profile --table --chip --cache" ;;
    explain) options="--chip --function --json --html" ;;
    ops) mapfile -t COMPREPLY < <(compgen -W "$(tl ops --names 2>/dev/null) $global" -- "$word"); return ;;
  esac
  if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$options $global" -- "$word")
  else mapfile -t COMPREPLY < <(compgen -f -- "$word"); fi
}
complete -o filenames -o bashdefault -F _tl tl
