# fish completion for kvmnet
complete --command kvmnet --no-files --arguments '(kvmnet complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
