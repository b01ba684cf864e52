# bash completion for frank(1). Names of accounts and messages come from frankd where it runs.

_frank_names() { # field, verb...: the values of a field of frank's JSON
	local field=$1
	shift
	frank "$@" --json 2>/dev/null | sed -n "s/^ *\"$field\": \"\\(.*\\)\",\\{0,1\\}\$/\\1/p" | sort -u
}

_frank() {
	local cur prev verb second third words cword i options
	_init_completion -n = 2>/dev/null || {
		cur=${COMP_WORDS[COMP_CWORD]}
		prev=${COMP_WORDS[COMP_CWORD - 1]}
		words=("${COMP_WORDS[@]}")
		cword=$COMP_CWORD
	}
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		--all) third=all ;;
		--account | --auth-user | --ca-file | --client-id | --config | --context | --explain | --grant | --issuer | --mailbox | --min-valid | --port | --provider | --region | --scopes | --service | --socket | --stage | --submit | --tenant | --users) ((i++)) ;;
		-*) ;;
		*) if [[ -z $verb ]]; then verb=${words[i]}; elif [[ -z $second ]]; then second=${words[i]}; else third=${third:-${words[i]}}; fi ;;
		esac
	done
	case $prev in
	--account)
		COMPREPLY=($(compgen -W "$(_frank_names account account list)" -- "$cur"))
		return
		;;
	--service | --socket)
		COMPREPLY=($(compgen -W "$(_frank_names service service list)" -- "$cur"))
		return
		;;
	--stage)
		COMPREPLY=($(compgen -W 'connect tls ehlo auth mail rcpt data api token' -- "$cur"))
		return
		;;
	--provider)
		COMPREPLY=($(compgen -W 'amazon-ses aol fastmail generic google google-relay icloud mailgun mailru microsoft365 microsoft365-china microsoft365-dod microsoft365-gcc-high microsoft365-hve outlook postmark sendgrid yahoo yandex zoho zoho-pro' -- "$cur"))
		return
		;;
	--grant)
		COMPREPLY=($(compgen -W 'authorization-code device-code client-credentials service-account password none' -- "$cur"))
		return
		;;
	--config | --ca-file)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--auth-user | --client-id | --context | --explain | --issuer | --mailbox | --min-valid | --port | --region | --scopes | --submit | --tenant | --users) return ;;
	esac
	case $verb in
	'') options='--help --version' ;;
	authorize) options='--no-browser --paste --device --invite --finish --port --help' ;;
	account)
		case $second in
		add) options='--json --mailbox --provider --grant --client-id --tenant --region --auth-user --submit --ca-file --issuer --scopes --users --config --authorize --help' ;;
		revoke) options='--json --local --help' ;;
		*) options='--json --help' ;;
		esac
		;;
	token) options='--json --min-valid --rejected --help' ;;
	audit) options='--json --help' ;;
	check) options='--json --to --send --selector --transcript --host --tls --explain --provider --stage --context --help' ;;
	service)
		case $second in
		explain) options='--json --socket --help' ;;
		password) options='--json --revoke --help' ;;
		*) options='--json --help' ;;
		esac
		;;
	queue)
		case $second in
		'' | list) options='--json --account --service --older --help' ;;
		show) options='--json --help' ;;
		*) options='--json --all --account --service --older --help' ;;
		esac
		;;
	events) options='--json --follow --help' ;;
	key) options='--json --overwrite --help' ;;
	*) options='--json --help' ;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		return
	fi
	case $verb/$second in
	/) COMPREPLY=($(compgen -W 'account audit authorize check events help key queue reload secret service status test token transcript unlock' -- "$cur")) ;;
	queue/) COMPREPLY=($(compgen -W 'list show retry hold release delete move' -- "$cur")) ;;
	secret/) COMPREPLY=($(compgen -W 'set' -- "$cur")) ;;
	account/) COMPREPLY=($(compgen -W 'list add hold release retry revoke' -- "$cur")) ;;
	key/) COMPREPLY=($(compgen -W 'list add remove rotate backup restore verify' -- "$cur")) ;;
	key/add) COMPREPLY=($(compgen -W 'passphrase configured key-file' -- "$cur")) ;;
	key/backup | key/restore | key/verify | key/rotate) COMPREPLY=($(compgen -f -- "$cur")) ;;
	service/) COMPREPLY=($(compgen -W 'list explain password' -- "$cur")) ;;
	help/) COMPREPLY=($(compgen -W 'account audit authorize check events key queue reload secret service status test token transcript unlock' -- "$cur")) ;;
	authorize/ | token/ | check/ | test/ | secret/set | account/hold | account/release | account/retry | account/revoke)
		COMPREPLY=($(compgen -W "$(_frank_names account account list)" -- "$cur"))
		;;
	service/password) COMPREPLY=($(compgen -W "$(_frank_names service service list)" -- "$cur")) ;;
	service/explain) COMPREPLY=($(compgen -u -- "$cur")) ;;
	queue/move)
		# the message first, then the account
		if [[ -n $third ]]; then COMPREPLY=($(compgen -W "$(_frank_names account account list)" -- "$cur")); else COMPREPLY=($(compgen -W "--all $(_frank_names id queue list)" -- "$cur")); fi
		;;
	transcript/ | queue/show | queue/retry | queue/hold | queue/release | queue/delete)
		COMPREPLY=($(compgen -W "$(_frank_names id queue list)" -- "$cur"))
		;;
	esac
}

complete -F _frank frank
