"""The pages that links in e-mails lead to. Opening one changes nothing: the request is sent by its button."""

from flask import Blueprint, render_template

mail_pages = Blueprint('mail_pages', __name__)


@mail_pages.get('/verify-email')
def verify_email() -> str:
    return render_template('verify_email.html')


@mail_pages.get('/reset-password')
def reset_password() -> str:
    return render_template('reset_password.html')
