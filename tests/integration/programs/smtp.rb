# The listener by Ruby's mail library: by whose the connection is, and with a login over STARTTLS.
require 'mail'
stem, sender, file = ARGV
login = { user_name: ENV['LOGIN'], password: ENV['PASSWORD'], authentication: 'plain' }
{ 'plain' => { port: ENV['PLAIN'], enable_starttls_auto: false }, 'start' => { port: ENV['START'], enable_starttls_auto: true, **login } }.each do |name, options|
  mail = Mail.new do
    from "Shop <#{sender}>"
    to "#{stem}-#{name}@example.test"
    subject 'Ruby mail'
    self.charset = 'utf-8'
    body File.read(file)
  end
  mail.delivery_method :smtp, address: 'localhost', **options
  mail.deliver!
end
