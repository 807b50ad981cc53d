# A skill of one's own.
mkdir my-skill
printf '%s\n' '---' 'name: my-skill' 'description: Say what is due in a lab. Use when somebody asks what is due.' '---' \
    '# What is due' '' '```bash' 'labctl status' '```' > my-skill/SKILL.md
