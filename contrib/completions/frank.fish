# fish completion for frank(1). Names of accounts and messages come from frankd where it runs.

function __frank_names --description 'The values of a field of frank\'s JSON'
	set -l field $argv[1]
	frank $argv[2..-1] --json 2>/dev/null | string match -rg '^ *"'$field'": "(.*)",?$' | sort -u
end

function __frank_wants --description 'Is the next word the one behind these?'
	set -l given (commandline -opc)[2..-1]
	set -l given (string match -v -- '-*' $given)
	test (count $given) -eq (count $argv); and test "$given" = "$argv"
end

complete -c frank -f
complete -c frank -n '__frank_wants' -a authorize -d 'sign in to an account in a browser'
complete -c frank -n '__frank_wants' -a secret -d 'store a password'
complete -c frank -n '__frank_wants' -a token -d 'print an access token for another program'
complete -c frank -n '__frank_wants' -a status -d 'how the accounts and services are'
complete -c frank -n '__frank_wants' -a audit -d 'what is weaker than it need be, and the fix'
complete -c frank -n '__frank_wants' -a check -d 'what is wrong with an account, or what a reply means'
complete -c frank -n '__frank_wants' -a test -d 'send a test message and follow it'
complete -c frank -n '__frank_wants' -a queue -d 'the messages that wait'
complete -c frank -n '__frank_wants' -a transcript -d 'what was said with the server'
complete -c frank -n '__frank_wants' -a account -d 'list, add, hold, release, retry or revoke accounts'
complete -c frank -n '__frank_wants' -a service -d 'list and explain the services, make a password'
complete -c frank -n '__frank_wants' -a events -d 'what people were told, or should know'
complete -c frank -n '__fish_seen_subcommand_from events' -l follow -d 'go on'
complete -c frank -n '__frank_wants' -a unlock -d 'open the token store by its passphrase'
complete -c frank -n '__frank_wants' -a key -d 'what opens the token store, and its backup'
complete -c frank -n '__frank_wants' -a reload -d 'read the configuration anew'
complete -c frank -n '__frank_wants' -a help -d 'explain a verb'

for verb in authorize token check test
	complete -c frank -n "__frank_wants $verb" -a '(__frank_names account account list)'
end
complete -c frank -n '__frank_wants transcript' -a '(__frank_names id queue list)'
complete -c frank -n '__frank_wants secret' -a set
complete -c frank -n '__frank_wants secret set' -a '(__frank_names account account list)'
complete -c frank -n '__frank_wants account' -a 'list add hold release retry revoke'
complete -c frank -n '__frank_wants key' -a 'list add remove rotate backup restore verify'
complete -c frank -n '__frank_wants key add' -a 'passphrase configured key-file'
for verb in backup restore verify rotate
	complete -c frank -n "__frank_wants key $verb" -F
end
complete -c frank -n '__fish_seen_subcommand_from key' -l overwrite -d 'put it in the place of what is there'
complete -c frank -n '__frank_wants service' -a 'list explain password'
complete -c frank -n '__frank_wants service explain' -a '(__fish_complete_users)'
complete -c frank -n '__frank_wants service password' -a '(__frank_names service service list)'
complete -c frank -n '__fish_seen_subcommand_from explain' -l socket -x -a '(__frank_names service service list)' -d 'through its own socket'
complete -c frank -n '__fish_seen_subcommand_from password' -l revoke -d 'end the password there is'
complete -c frank -n '__frank_wants queue' -a 'list show retry hold release delete move'
for verb in hold release retry revoke
	complete -c frank -n "__frank_wants account $verb" -a '(__frank_names account account list)'
end
for verb in show retry hold release delete move
	complete -c frank -n "__frank_wants queue $verb" -a '(__frank_names id queue list)'
end
# the message first, then the account
complete -c frank -n '__fish_seen_subcommand_from move; and test (count (string match -v -- "-*" (commandline -opc))) -eq 4' -a '(__frank_names account account list)'

complete -c frank -l help -d 'explain the verb'
complete -c frank -n '__frank_wants' -l version -d 'print the version'
complete -c frank -n '__fish_seen_subcommand_from audit status queue token check test transcript account service reload secret' -l json -d 'print JSON for a program'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l no-browser -d 'print the address to open'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l paste -d 'read the address at which the browser ended'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l device -d 'by a code that is typed in on another device'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l invite -d 'print a text for the mailbox owner'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l finish -d 'take the address that came back'
complete -c frank -n '__fish_seen_subcommand_from revoke' -l local -d 'forget it here only'
complete -c frank -n '__fish_seen_subcommand_from add' -l mailbox -x -d 'the address that mail is sent from'
complete -c frank -n '__fish_seen_subcommand_from add' -l provider -x -a 'amazon-ses aol fastmail generic google google-relay icloud mailgun mailru microsoft365 microsoft365-china microsoft365-dod microsoft365-gcc-high microsoft365-hve outlook postmark sendgrid yahoo yandex zoho zoho-pro' -d 'the provider'
complete -c frank -n '__fish_seen_subcommand_from add' -l grant -x -a 'authorization-code device-code client-credentials service-account password none' -d 'where the credential comes from'
complete -c frank -n '__fish_seen_subcommand_from add' -l client-id -x -d 'of the application'
complete -c frank -n '__fish_seen_subcommand_from add' -l tenant -x -d 'the organisation at Microsoft'
complete -c frank -n '__fish_seen_subcommand_from add' -l region -x -d 'of the provider'
complete -c frank -n '__fish_seen_subcommand_from add' -l auth-user -x -d 'who signs in'
complete -c frank -n '__fish_seen_subcommand_from add' -l submit -x -d 'the submission server'
complete -c frank -n '__fish_seen_subcommand_from add' -l issuer -x -d 'of the authorization server'
complete -c frank -n '__fish_seen_subcommand_from add' -l scopes -x -d 'what to ask for'
complete -c frank -n '__fish_seen_subcommand_from add' -l users -x -a '(__fish_complete_users)' -d 'who may send through it'
complete -c frank -n '__fish_seen_subcommand_from add' -l ca-file -r -d 'authorities of the servers'
complete -c frank -n '__fish_seen_subcommand_from add' -l config -r -d 'another configuration'
complete -c frank -n '__fish_seen_subcommand_from add' -l authorize -d 'sign in after it'
complete -c frank -n '__fish_seen_subcommand_from authorize' -l port -x -d 'listen on this port'
complete -c frank -n '__fish_seen_subcommand_from token' -l min-valid -x -d 'a token that lives at least that many seconds'
complete -c frank -n '__fish_seen_subcommand_from token' -l rejected -d 'the last token was refused'
complete -c frank -n '__fish_seen_subcommand_from check' -l explain -x -d 'explain a reply'
complete -c frank -n '__fish_seen_subcommand_from check' -l host -x -d 'a server instead of an account'
complete -c frank -n '__fish_seen_subcommand_from check' -l tls -x -a 'starttls implicit none' -d 'how TLS begins'
complete -c frank -n '__fish_seen_subcommand_from check' -l to -x -d 'the recipient to ask about'
complete -c frank -n '__fish_seen_subcommand_from check' -l send -d 'also send a message'
complete -c frank -n '__fish_seen_subcommand_from check' -l selector -x -d 'the DKIM key to look for'
complete -c frank -n '__fish_seen_subcommand_from check' -l transcript -d 'print what was said'
complete -c frank -n '__fish_seen_subcommand_from check' -l provider -x -a 'amazon-ses aol fastmail generic google google-relay icloud mailgun mailru microsoft365 microsoft365-china microsoft365-dod microsoft365-gcc-high microsoft365-hve outlook postmark sendgrid yahoo yandex zoho zoho-pro' -d 'whose reply it is'
complete -c frank -n '__fish_seen_subcommand_from check' -l stage -x -a 'connect tls ehlo auth mail rcpt data api token' -d 'where in the session'
complete -c frank -n '__fish_seen_subcommand_from check' -l context -x -d 'what else is known, as JSON'
complete -c frank -n '__fish_seen_subcommand_from queue' -l all -d 'every message'
complete -c frank -n '__fish_seen_subcommand_from queue' -l older -x -d 'accepted so long ago'
complete -c frank -n '__fish_seen_subcommand_from queue' -l account -x -a '(__frank_names account account list)' -d 'of this account'
complete -c frank -n '__fish_seen_subcommand_from queue' -l service -x -a '(__frank_names service service list)' -d 'of this service'
